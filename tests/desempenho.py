"""Compara o par com outros servidores e clientes: python3 tests/desempenho.py (menos de um minuto).

Escreve na saída duas tabelas em Markdown e, no stderr, em que ponto está. Cada medida se repete
em rodadas intercaladas, e vale a mediana: o que atrapalha uma rodada atrapalha a de todos.
A razão do cliente só vale em um Python que começa com poucos módulos, como o de um ambiente
virtual: em outro, o que ele mesmo carrega ao começar esconde a diferença.
"""

import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

RAIZ = Path(__file__).resolve().parent.parent
RODADAS = 61
CONEXOES = 300  # por rodada e servidor
TENTATIVAS = 50  # por tamanho e servidor, para contar perdas
TAMANHOS = (100, 5_000, 1_000_000)  # bytes
EXECUCOES = 61  # de cada cliente
PRAZO = 20.0  # segundos

# Os pares: o mesmo eco de um bloco, como se escreve sem pensar no fim da conexão.
SO_OS_PASSOS = """
import socket
serv_socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
serv_socket.bind(("127.0.0.1", 0))
serv_socket.listen(3)
print(serv_socket.getsockname()[1], flush=True)
while True:
    conn, cliente = serv_socket.accept()
    try:
        conn.sendall(conn.recv(1024))
    except OSError:
        pass
    conn.close()
"""
COM_SOCKETSERVER = """
import socketserver
class Eco(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(self.request.recv(1024))
class Servidor(socketserver.TCPServer):
    def handle_error(self, request, client_address):
        pass
with Servidor(("127.0.0.1", 0), Eco) as servidor:
    print(servidor.server_address[1], flush=True)
    servidor.serve_forever()
"""
COM_ASYNCIO = """
import asyncio
async def ecoar(leitor, escritor):
    try:
        escritor.write(await leitor.read(1024))
        await escritor.drain()
        escritor.close()
        await escritor.wait_closed()
    except OSError:
        pass
async def main():
    servidor = await asyncio.start_server(ecoar, "127.0.0.1", 0)
    print(servidor.sockets[0].getsockname()[1], flush=True)
    await servidor.serve_forever()
asyncio.run(main())
"""
CLIENTE_DE_SEIS_LINHAS = """\
import socket, sys
client_socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
client_socket.connect(("127.0.0.1", int(sys.argv[2])))
client_socket.sendall(str.encode(sys.argv[3]))
print(client_socket.recv(1024).decode())
client_socket.close()
"""
NOSSO, REFERENCIA, SEIS_LINHAS = "`servidor_socket.py -k`", "`socketserver`", "seis linhas"
SERVIDORES = {
    NOSSO: (str(RAIZ / "servidor_socket.py"), "-k", "--porta", "0"),
    "só os onze passos": ("-c", SO_OS_PASSOS),
    REFERENCIA: ("-c", COM_SOCKETSERVER),
    "`asyncio`": ("-c", COM_ASYNCIO),
}


@contextmanager
def servidor_em_execucao(comando: tuple[str, ...]) -> Iterator[int]:
    """Dá a porta do servidor, que narra em um arquivo e morre no fim."""
    with tempfile.TemporaryFile() as registro:
        processo = subprocess.Popen([sys.executable, *comando], stdout=registro)
        try:
            anuncio, prazo = b"", time.monotonic() + PRAZO
            while not anuncio.endswith(b"\n"):
                if time.monotonic() > prazo:
                    raise TimeoutError(f"o servidor não anunciou a porta: {comando}")
                anuncio = os.pread(registro.fileno(), 200, 0)
            yield int(anuncio.split(b" (")[0].rpartition(b":")[2])
        finally:
            processo.kill()
            processo.wait()


def eco(porta: int, mensagem: bytes) -> bytes:
    """Envia a mensagem e o fim dela; devolve a resposta, ou falha se o fim não é limpo."""
    with socket.create_connection(("127.0.0.1", porta), PRAZO) as client_socket:
        client_socket.sendall(mensagem)
        client_socket.shutdown(socket.SHUT_WR)
        resposta = b""
        while pedaco := client_socket.recv(65536):
            resposta += pedaco
        return resposta


def conexoes_por_segundo(porta: int) -> float:
    inicio = time.perf_counter()
    for _ in range(CONEXOES):
        eco(porta, b"x" * 100)
    return CONEXOES / (time.perf_counter() - inicio)


def chegou_inteira(tamanho: int, porta: int) -> bool:
    """Se a resposta é o começo da mensagem (um bloco, ou o que um recv achou) e termina limpa."""
    try:
        resposta = eco(porta, b"x" * tamanho)
    except OSError:
        return False
    return 0 < len(resposta) <= 1024 and resposta == b"x" * len(resposta)


def milissegundos_do_processo(comando: tuple[str, ...]) -> float:
    inicio = time.perf_counter()
    # Sem timeout: com ele, o subprocess pergunta de tempos em tempos, e não no fim.
    subprocess.run([sys.executable, *comando], stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - inicio) * 1000


def intercalar(rodadas: int, o_que: str, medir: Callable, pares: dict[str, object]) -> dict:
    """Mede cada par uma vez por rodada; devolve a lista de valores de cada um."""
    valores: dict[str, list[float]] = {nome: [] for nome in pares}
    for rodada in range(rodadas):
        print(f"\r{o_que}: {rodada + 1} de {rodadas} ", end="", file=sys.stderr, flush=True)
        for nome, par in pares.items():
            valores[nome].append(medir(par))
    print(file=sys.stderr)
    return valores


def razao(valores: list[float], referencia: list[float]) -> str:
    """A mediana das razões de cada rodada."""
    vezes = [valor / outro for valor, outro in zip(valores, referencia, strict=True)]
    return decimal(statistics.median(vezes), 2)


def decimal(numero: float, casas: int) -> str:
    return f"{numero:.{casas}f}".replace(".", ",")


def medir_os_servidores(portas: dict[str, int]) -> None:
    """Escreve a tabela dos servidores: velocidade, e respostas que chegam inteiras."""
    ritmos = intercalar(RODADAS, "conexões por segundo", conexoes_por_segundo, portas)
    chegadas = [
        intercalar(TENTATIVAS, f"respostas a {tamanho} B", partial(chegou_inteira, tamanho), portas)
        for tamanho in TAMANHOS
    ]
    tamanhos = [f"{tamanho:,} B".replace(",", ".") for tamanho in TAMANHOS]
    print(f"| servidor | conexões/s | razão | {' | '.join(tamanhos)} |\n|---|---|---|---|---|---|")
    for nome, ritmo in ritmos.items():
        inteiras = [f"{sum(chegada[nome])} de {TENTATIVAS}" for chegada in chegadas]
        colunas = [f"{statistics.median(ritmo):.0f}", razao(ritmo, ritmos[REFERENCIA]), *inteiras]
        print(f"| {nome} | {' | '.join(colunas)} |")


def medir_os_clientes(porta: int) -> None:
    """Escreve a tabela dos clientes: o tempo do processo inteiro."""
    with tempfile.TemporaryDirectory() as pasta:
        seis_linhas = Path(pasta) / "seis_linhas.py"
        seis_linhas.write_text(CLIENTE_DE_SEIS_LINHAS)
        scripts = {"`cliente_socket.py`": RAIZ / "cliente_socket.py", SEIS_LINHAS: seis_linhas}
        comandos = {nome: (str(s), "--porta", str(porta), "oi") for nome, s in scripts.items()}
        tempos = intercalar(EXECUCOES, "clientes", milissegundos_do_processo, comandos)
    print("\n| cliente | ms | razão |\n|---|---|---|")
    for nome, tempo in tempos.items():
        mediana = decimal(statistics.median(tempo), 1)
        print(f"| {nome} | {mediana} | {razao(tempo, tempos[SEIS_LINHAS])} |")


def main() -> None:
    contar_modulos = [sys.executable, "-c", "import sys; print(len(sys.modules))"]
    modulos = int(subprocess.run(contar_modulos, capture_output=True, check=True).stdout)
    print(f"Python {platform.python_version()}, {modulos} módulos ao começar", end=", ")
    print(f"{os.cpu_count()} núcleos, {platform.system()}\n", flush=True)
    with ExitStack() as pilha:
        portas = {
            nome: pilha.enter_context(servidor_em_execucao(comando))
            for nome, comando in SERVIDORES.items()
        }
        medir_os_servidores(portas)
        medir_os_clientes(portas[NOSSO])


if __name__ == "__main__":
    main()
