"""Compara o par com outros servidores e clientes: .venv/bin/python tests/desempenho.py

Cada medida se repete em rodadas intercaladas, e vale a mediana: o que atrapalha uma rodada
atrapalha a de todos.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from apoio import CLIENTE, SERVIDOR
from rede import eco, esperar_ate

RODADAS = 61  # de cada medida de tempo
CONEXOES = 300  # por rodada e servidor

# Os pares: o mesmo eco de um bloco, como se escreve sem pensar no fim da conexão.
COM_SOCKETSERVER = """
import socketserver
class Eco(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(self.request.recv(1024))
with socketserver.TCPServer(("127.0.0.1", 0), Eco) as servidor:
    print(servidor.server_address[1], flush=True)
    servidor.serve_forever()
"""
CLIENTE_DE_SEIS_LINHAS = """\
import socket, sys
client_socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
client_socket.connect(("127.0.0.1", int(sys.argv[2])))
client_socket.sendall(str.encode(sys.argv[3]))
print(client_socket.recv(1024).decode())
client_socket.close()
"""
SERVIDORES = {
    "servidor_socket.py -k": (str(SERVIDOR), "-k", "--porta", "0"),
    "socketserver": ("-c", COM_SOCKETSERVER),
}


def iniciar(comando: tuple, pilha: ExitStack) -> int:
    """Inicia um servidor que narra em um arquivo e morre com a pilha; devolve a porta dele."""
    registro = pilha.enter_context(tempfile.NamedTemporaryFile())  # noqa: SIM115
    processo = subprocess.Popen([sys.executable, *comando], stdout=registro)
    pilha.callback(processo.wait)
    pilha.callback(processo.kill)
    esperar_ate(lambda: b"\n" in Path(registro.name).read_bytes() or processo.poll() is not None)
    return int(Path(registro.name).read_bytes().split(b" (")[0].rpartition(b":")[2])


def conexoes_por_segundo(porta: int) -> float:
    inicio = time.perf_counter()
    for _ in range(CONEXOES):
        eco(porta, b"x" * 100)
    return CONEXOES / (time.perf_counter() - inicio)


def milissegundos(comando: list) -> float:
    inicio = time.perf_counter()
    subprocess.run(comando, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - inicio) * 1000


def comparar(unidade: str, medir: Callable, casos: dict) -> None:
    """Mede cada caso uma vez por rodada; escreve a mediana, e a da razão ao último."""
    referencia = list(casos)[-1]
    rodadas = [{nome: medir(caso) for nome, caso in casos.items()} for _ in range(RODADAS)]
    for nome in casos:
        mediana = statistics.median(rodada[nome] for rodada in rodadas)
        razao = statistics.median(rodada[nome] / rodada[referencia] for rodada in rodadas)
        print(f"  {nome:22} {mediana:6.0f} {unidade}, razão {razao:.2f}", flush=True)


def main() -> None:
    with ExitStack() as pilha:
        portas = {nome: iniciar(comando, pilha) for nome, comando in SERVIDORES.items()}
        comparar("conexões por segundo", conexoes_por_segundo, portas)
        fim = ["--porta", str(portas["servidor_socket.py -k"]), "oi"]
        clientes = {
            "cliente_socket.py": [sys.executable, str(CLIENTE), *fim],
            "seis linhas": [sys.executable, "-c", CLIENTE_DE_SEIS_LINHAS, *fim],
        }
        comparar("ms por processo", milissegundos, clientes)


if __name__ == "__main__":
    main()
