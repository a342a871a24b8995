"""Mede o par ao lado dos seus pares: python3 tests/desempenho.py (menos de um minuto).

Escreve na saída duas tabelas em Markdown e, no stderr, em que ponto está. Cada medida se repete
em rodadas intercaladas, e vale a mediana: o que atrapalha uma rodada atrapalha a de todos.
A razão do cliente só vale em um Python que começa com poucos módulos (sem pacotes que ele carrega
sozinho), como o de um ambiente virtual: em outro, o que ele mesmo carrega esconde a diferença.
"""

import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

RAIZ = Path(__file__).resolve().parent.parent
SERVIDOR = [sys.executable, str(RAIZ / "servidor_socket.py"), "-k", "--porta", "0"]
CLIENTE = [sys.executable, str(RAIZ / "cliente_socket.py"), "--porta"]
RODADAS = 11
CONEXOES = 300  # por rodada e servidor
TENTATIVAS = 50  # por tamanho e servidor, para contar perdas
TAMANHOS = (100, 5_000, 1_000_000)  # bytes
EXECUCOES = 41  # de cada cliente
PRAZO = 20.0  # segundos

# Os pares: o mesmo eco de um bloco, como se escreve sem pensar no fim da conexão.
OS_PASSOS_AO_PE_DA_LETRA = """
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
client_socket.connect(("127.0.0.1", int(sys.argv[1])))
client_socket.sendall(str.encode(sys.argv[2]))
print(client_socket.recv(1024).decode())
client_socket.close()
"""
NOSSO = "`servidor_socket.py -k`"
SERVIDORES = {
    NOSSO: SERVIDOR,
    "os passos ao pé da letra": [sys.executable, "-c", OS_PASSOS_AO_PE_DA_LETRA],
    "`socketserver.TCPServer`": [sys.executable, "-c", COM_SOCKETSERVER],
    "`asyncio.start_server`": [sys.executable, "-c", COM_ASYNCIO],
}
REFERENCIA = "`socketserver.TCPServer`"


@contextmanager
def servidor_em_execucao(comando: list[str]) -> Iterator[int]:
    """Dá a porta do servidor, que narra em um arquivo e morre no fim."""
    with tempfile.TemporaryFile() as registro:
        processo = subprocess.Popen(comando, stdout=registro, stderr=subprocess.DEVNULL)
        try:
            prazo = time.monotonic() + PRAZO
            anuncio = b""
            while not anuncio.endswith(b"\n"):
                if time.monotonic() > prazo:
                    raise TimeoutError(f"o servidor não anunciou a porta: {comando}")
                anuncio = os.pread(registro.fileno(), 200, 0)
            numero = anuncio.split(b" (")[0].rpartition(b":")[2]
            yield int(numero)
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


def chegou_inteira(porta: int, tamanho: int) -> bool:
    """Se a resposta é o começo da mensagem (um bloco, ou o que um recv achou) e termina limpa."""
    try:
        resposta = eco(porta, b"x" * tamanho)
    except OSError:
        return False
    return 0 < len(resposta) <= 1024 and resposta == b"x" * len(resposta)


def segundos_do_processo(comando: list[str]) -> float:
    inicio = time.perf_counter()
    # Sem timeout: com ele, o subprocess pergunta de tempos em tempos, e não no fim.
    subprocess.run(comando, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - inicio


def mediana(valores: list[float]) -> float:
    return sorted(valores)[len(valores) // 2]


def intercalar(
    rodadas: int, o_que: str, medidas: dict[str, Callable[[], float]]
) -> dict[str, list]:
    """Repete as medidas, uma de cada por rodada; devolve a lista de valores de cada uma."""
    valores: dict[str, list[float]] = {nome: [] for nome in medidas}
    for rodada in range(rodadas):
        print(f"\r{o_que}: {rodada + 1} de {rodadas} ", end="", file=sys.stderr, flush=True)
        for nome, medir in medidas.items():
            valores[nome].append(medir())
    print(file=sys.stderr)
    return valores


def razao(valores: list[float], referencia: list[float]) -> float:
    """A mediana das razões de cada rodada."""
    return mediana([valor / outro for valor, outro in zip(valores, referencia, strict=True)])


def decimal(numero: float, casas: int) -> str:
    return f"{numero:.{casas}f}".replace(".", ",")


def medir_os_servidores(portas: dict[str, int]) -> Iterator[str]:
    """As linhas da tabela dos servidores."""
    velocidades = intercalar(
        RODADAS,
        "conexões por segundo",
        {nome: partial(conexoes_por_segundo, porta) for nome, porta in portas.items()},
    )
    chegadas = [
        intercalar(
            TENTATIVAS,
            f"respostas a {tamanho} bytes",
            {nome: partial(chegou_inteira, porta, tamanho) for nome, porta in portas.items()},
        )
        for tamanho in TAMANHOS
    ]
    for nome in portas:
        vezes = razao(velocidades[nome], velocidades[REFERENCIA])
        inteiras = [f"{sum(chegada[nome])} de {TENTATIVAS}" for chegada in chegadas]
        colunas = [nome, f"{mediana(velocidades[nome]):.0f}", decimal(vezes, 2), *inteiras]
        yield f"| {' | '.join(colunas)} |"


def medir_os_clientes(porta: int) -> Iterator[str]:
    """As linhas da tabela dos clientes."""
    with tempfile.TemporaryDirectory() as pasta:
        seis_linhas = Path(pasta) / "seis_linhas.py"
        seis_linhas.write_text(CLIENTE_DE_SEIS_LINHAS)
        clientes = {
            "`cliente_socket.py`": CLIENTE,
            "um cliente de seis linhas": [sys.executable, str(seis_linhas)],
        }
        comandos = {nome: [*inicio, str(porta), "oi"] for nome, inicio in clientes.items()}
        tempos = intercalar(
            EXECUCOES,
            "execuções do cliente",
            {nome: partial(segundos_do_processo, comando) for nome, comando in comandos.items()},
        )
    for nome in clientes:
        vezes = razao(tempos[nome], tempos["um cliente de seis linhas"])
        yield f"| {nome} | {decimal(mediana(tempos[nome]) * 1000, 1)} | {decimal(vezes, 2)} |"


def main() -> None:
    with ExitStack() as pilha:
        portas = {
            nome: pilha.enter_context(servidor_em_execucao(comando))
            for nome, comando in SERVIDORES.items()
        }
        servidores = [*medir_os_servidores(portas)]
        clientes = [*medir_os_clientes(portas[NOSSO])]
    contar_modulos = [sys.executable, "-c", "import sys; print(len(sys.modules))"]
    modulos = int(subprocess.run(contar_modulos, capture_output=True, check=True).stdout)
    python = f"Python {platform.python_version()}, que começa com {modulos} módulos"
    print(f"{python}; {os.cpu_count()} núcleos, {platform.system()}\n")
    tamanhos = [f"{tamanho:,} B".replace(",", ".") for tamanho in TAMANHOS]
    print(f"| servidor | conexões/s | razão | {' | '.join(tamanhos)} |")
    print("|---|---|---|---|---|---|", *servidores, sep="\n")
    print("\n| cliente | ms | razão |\n|---|---|---|", *clientes, sep="\n")


if __name__ == "__main__":
    main()
