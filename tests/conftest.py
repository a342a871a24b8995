"""O que os testes têm em comum: os dois scripts como processos, e quem fala com eles.

Espera-se pelo que um processo escreve ou pelo que um socket recebe, e cada
espera tem um prazo, para que um defeito apareça como falha e não como uma suíte parada.
"""

import contextlib
import fcntl
import os
import pty
import re
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

RAIZ = Path(__file__).resolve().parent.parent
SERVIDOR = RAIZ / "servidor_socket.py"
CLIENTE = RAIZ / "cliente_socket.py"
# No modo de desenvolvimento, um socket ou arquivo esquecido aberto suja o stderr, se ainda há um.
PYTHON = (sys.executable, "-X", "dev", "-W", "error")
PRAZO = 20.0  # segundos: muito mais do que qualquer espera que dá certo
FOLGA = 4.0  # segundos: para uma máquina ocupada; bem menos que os tempos limite de fábrica
TAMANHO_DO_BLOCO = 1024  # bytes

# O que mudaria o que os scripts escrevem; quem quer testar isso põe a variável de volta.
for variavel in ("PYTHONUNBUFFERED", "PYTHONIOENCODING", "POSIXLY_CORRECT"):
    os.environ.pop(variavel, None)
os.environ["PYTHONUTF8"] = "1"

linux = pytest.mark.skipif(sys.platform != "linux", reason="usa o que só o Linux oferece")


def tem(programa: str) -> bool:
    """Se o programa existe aqui; o nc tem de ser o da OpenBSD, que sabe enviar o fim (-N)."""
    if not shutil.which(programa):
        return False
    if programa != "nc":
        return True
    ajuda = subprocess.run(["nc", "-h"], capture_output=True, timeout=PRAZO)
    return b"Shutdown the network socket" in ajuda.stderr + ajuda.stdout


def precisa_de(programa: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not tem(programa), reason=f"não há {programa} aqui")


def tem_ipv6(inicio: tuple[str, ...] = ()) -> bool:
    """Se esta máquina (ou a rede em que `inicio` põe um comando) escuta em ::1."""
    prova = "import socket; socket.create_server(('::1', 0), family=socket.AF_INET6).close()"
    return not subprocess.run(
        [*inicio, sys.executable, "-c", prova], capture_output=True
    ).returncode


precisa_de_ipv6 = pytest.mark.skipif(not tem_ipv6(), reason="esta máquina não tem IPv6")


def em_bytes(comando: tuple) -> list[bytes]:
    """O comando como o sistema o recebe, em UTF-8 mesmo que a máquina use outra codificação."""
    return [parte if isinstance(parte, bytes) else os.fspath(parte).encode() for parte in comando]


class Processo:
    """Um script em execução, com a saída e os erros lidos por descritor e com prazo."""

    def __init__(self, *comando: str | bytes | Path, **opcoes) -> None:
        opcoes = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        } | opcoes
        self.popen = subprocess.Popen(em_bytes(comando), **opcoes)
        self.pid = self.popen.pid
        self._lido = b""

    def linha(self) -> str:
        """Espera a próxima linha da saída."""
        while b"\n" not in self._lido:
            pedaco = ler_um_pedaco(self.popen.stdout.fileno())
            assert pedaco, f"a saída acabou antes da linha: {self._lido!r} {self.erros()!r}"
            self._lido += pedaco
        linha, _, self._lido = self._lido.partition(b"\n")
        return linha.decode()

    def resto(self) -> str:
        """Lê a saída até o fim."""
        return (self._lido + ler_ate_o_fim(self.popen.stdout.fileno())).decode()

    def erros(self) -> str:
        """Lê o stderr até o fim."""
        return ler_ate_o_fim(self.popen.stderr.fileno()).decode()

    def status(self) -> int:
        """Espera o fim do processo; negativo se foi um sinal."""
        return self.popen.wait(PRAZO)

    def encerrar(self) -> None:
        self.popen.kill()
        self.popen.wait(PRAZO)
        for cano in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if cano:
                with contextlib.suppress(BrokenPipeError):
                    cano.close()


class Servidor(Processo):
    """O servidor, já escutando em uma porta que o sistema escolheu."""

    def __init__(self, *argumentos: str, comando: tuple = (*PYTHON, SERVIDOR), **opcoes) -> None:
        super().__init__(*comando, "--porta", "0", *argumentos, **opcoes)
        self.anuncio = self.linha()
        host, porta = re.match(r"Escutando em (\S+):(\d+)( |$)", self.anuncio).group(1, 2)
        self.host, self.porta = host.strip("[]"), int(porta)

    def conectar(self) -> socket.socket:
        """Um cliente feito à mão, para os modos que um cliente correto não tem."""
        return socket.create_connection((self.host, self.porta), PRAZO)

    def ainda_atende(self) -> None:
        """Falha se a próxima conexão não recebe o eco inteiro e um fim limpo."""
        assert eco(self, b"mais um") == b"mais um"
        assert self.linha().endswith(": 7 bytes, 'mais um', fim limpo")


class Terminal:
    """Um pseudoterminal: o que a pessoa vê e o que ela digita."""

    def __init__(self, abrir: Callable) -> None:
        self.abrir_processo = abrir
        self.pessoa, self.programa = pty.openpty()
        self.visto = b""

    def abrir(self, classe: type[Processo], *argumentos, **opcoes) -> Processo:
        """Abre o processo com o terminal nas três pontas, salvo as que vêm em `opcoes`."""
        pontas = dict.fromkeys(("stdin", "stdout", "stderr"), self.programa)
        return self.abrir_processo(classe, *argumentos, **(pontas | opcoes), preexec_fn=self._tomar)

    def _tomar(self) -> None:
        """No processo filho: o terminal passa a ser o dele, e o Ctrl+C chega a ele e o mata."""
        os.setsid()
        fcntl.ioctl(self.programa, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def esperar(self, texto: str) -> None:
        """Lê a tela até que o texto apareça nela."""
        while texto.encode() not in self.visto:
            pedaco = ler_um_pedaco(self.pessoa)
            assert pedaco, f"a tela acabou antes de {texto!r}: {self.visto!r}"
            self.visto += pedaco

    def tela(self) -> str:
        """Fecha o lado do programa e lê tudo o que ele mostrou."""
        os.close(self.programa)
        self.programa = -1
        while pedaco := ler_um_pedaco(self.pessoa):
            self.visto += pedaco
        return self.visto.decode()

    def digitar(self, teclas: bytes) -> None:
        os.write(self.pessoa, teclas)

    def fechar(self) -> None:
        for descritor in (self.pessoa, self.programa):
            with contextlib.suppress(OSError):
                os.close(descritor)


def ler_um_pedaco(descritor: int) -> bytes:
    prontos, _, _ = select.select([descritor], [], [], PRAZO)
    assert prontos, "nada chegou dentro do prazo"
    try:
        return os.read(descritor, 65536)
    except OSError:  # EIO: é assim que um pseudoterminal conta que o outro lado fechou
        return b""


def ler_ate_o_fim(descritor: int) -> bytes:
    lido = b""
    while pedaco := ler_um_pedaco(descritor):
        lido += pedaco
    return lido


def receber_tudo(conn: socket.socket) -> bytes:
    """Lê até o fim do fluxo; um reset (ConnectionResetError) não é um fim e faz falhar o teste."""
    recebido = b""
    while pedaco := conn.recv(65536):
        recebido += pedaco
    return recebido


def eco(servidor: Servidor, mensagem: bytes) -> bytes:
    """Envia a mensagem e o fim dela, e devolve o que veio até o fim do fluxo."""
    with servidor.conectar() as client_socket:
        client_socket.sendall(mensagem)
        client_socket.shutdown(socket.SHUT_WR)
        return receber_tudo(client_socket)


def resetar(conn: socket.socket) -> None:
    """Fecha com um reset (SO_LINGER ligado, 0 segundos) em vez de um fim."""
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


def esperar_ate(condicao: Callable[[], object], falta: str) -> None:
    """Volta quando a condição vale; falha, dizendo o que falta, se o prazo passa."""
    prazo = time.monotonic() + PRAZO
    while not condicao():
        assert time.monotonic() < prazo, falta


def tamanho_da_fila(porta: int) -> int:
    """Quantas conexões prontas esperam o accept: a coluna rx_queue de um socket que escuta."""
    with open("/proc/net/tcp") as tabela:
        for campos in map(str.split, tabela):
            if campos[1] == f"0100007F:{porta:04X}" and campos[3] == "0A":
                return int(campos[4].split(":")[1], 16)
    raise AssertionError("ninguém escuta nessa porta")


def esperar_a_fila_esvaziar(porta: int) -> None:
    esperar_ate(lambda: not tamanho_da_fila(porta), "o servidor não aceitou a conexão")


def esperar_o_cano_esvaziar(descritor: int) -> None:
    """Volta quando o processo na outra ponta do cano leu tudo o que havia nele."""
    esperar_ate(
        lambda: not any(fcntl.ioctl(descritor, termios.FIONREAD, bytes(4))), "ninguém leu o cano"
    )


def encher_ate_parar(escrever: Callable[[bytes], object]) -> None:
    """Escreve até o outro lado não aceitar mais: é ele quem parou de ler."""
    with contextlib.suppress(BlockingIOError, TimeoutError):
        while True:
            escrever(b"x" * 65536)


def rodar(*comando: str | bytes | Path, **opcoes) -> subprocess.CompletedProcess[bytes]:
    """Roda o comando até o fim; sem dizer de outro modo, a entrada está vazia."""
    if "input" not in opcoes:
        opcoes = {"stdin": subprocess.DEVNULL} | opcoes
    opcoes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | opcoes
    return subprocess.run(em_bytes(comando), timeout=PRAZO, **opcoes)


def rodar_cliente(
    *argumentos: str | bytes, porta: int, inicio: tuple = (), **opcoes
) -> subprocess.CompletedProcess[bytes]:
    return rodar(*inicio, *PYTHON, CLIENTE, "--porta", str(porta), *argumentos, **opcoes)


def uma_linha_de_erro(stderr: bytes | str, script: Path) -> str:
    """Verifica que o stderr é uma linha só, no formato combinado, e devolve a mensagem."""
    texto = stderr.decode() if isinstance(stderr, bytes) else stderr
    assert texto.startswith(f"{script.name}: erro: "), texto
    assert texto.endswith("\n"), texto
    assert texto[:-1].isprintable(), texto
    return texto.removeprefix(f"{script.name}: erro: ").rstrip()


def erro_do_cliente(cliente: subprocess.CompletedProcess[bytes], saida: bytes = b"") -> str:
    """A linha de erro de um cliente que terminou com status 1, depois de escrever `saida`."""
    assert (cliente.returncode, cliente.stdout or b"") == (1, saida), cliente.stderr
    return uma_linha_de_erro(cliente.stderr, CLIENTE)


def do_sistema(codigo: int) -> str:
    """O texto com que o Python mostra este errno."""
    return f"[Errno {codigo}] {os.strerror(codigo)}"


def limitar_o_arquivo_a(quantos: int) -> Callable[[], None]:
    """Uma preexec_fn com que a escrita em arquivo para nesse byte, como em um disco cheio."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (quantos, quantos))


@pytest.fixture
def abrir() -> Iterator[Callable]:
    """abrir(Servidor, ...) ou abrir(Processo, ...): o processo morre com o teste."""
    with contextlib.ExitStack() as pilha:

        def abrir_um(classe: type[Processo], *argumentos, **opcoes) -> Processo:
            processo = classe(*argumentos, **opcoes)
            pilha.callback(processo.encerrar)
            return processo

        yield abrir_um


@pytest.fixture
def abrir_cliente(abrir) -> Callable:
    """abrir_cliente(porta, ...): o cliente, que continua enquanto o teste faz outra coisa."""

    def abrir_um(porta: int, *argumentos: str, inicio: tuple = (), **opcoes) -> Processo:
        comando = (*inicio, *PYTHON, CLIENTE, "--porta", str(porta), *argumentos)
        return abrir(Processo, *comando, **opcoes)

    return abrir_um


@pytest.fixture
def servidor(abrir) -> Servidor:
    """O servidor como vem: uma conexão e fim."""
    return abrir(Servidor)


@pytest.fixture
def servidor_continuo(abrir) -> Servidor:
    """O servidor com -k, que só termina quando alguém o manda."""
    return abrir(Servidor, "-k")


@pytest.fixture
def ouvinte() -> Iterator[socket.socket]:
    """Um socket que escuta, para ver quem bate à porta."""
    with socket.create_server(("127.0.0.1", 0)) as serv_socket:
        serv_socket.settimeout(PRAZO)
        yield serv_socket


def ninguem_bateu(ouvinte: socket.socket, espera: float = 0.0) -> bool:
    """Se, ao fim da espera (em segundos), não há conexão na fila."""
    return not select.select([ouvinte], [], [], espera)[0]


@pytest.fixture
def parceiro(ouvinte) -> Iterator[Callable[[Callable[[socket.socket], None]], int]]:
    """parceiro(funcao): um servidor de uma conexão que faz com ela o que a função diz.

    Devolve a porta. Uma exceção na função faz o teste falhar ao terminar.
    """
    with contextlib.ExitStack() as pilha:
        falhas: list[BaseException] = []

        def ouvir(funcao: Callable[[socket.socket], None]) -> int:
            def atender() -> None:
                try:
                    conn, _ = ouvinte.accept()
                    with conn:
                        conn.settimeout(PRAZO)
                        funcao(conn)
                except BaseException as exc:
                    falhas.append(exc)

            linha_de_execucao = threading.Thread(target=atender, daemon=True)
            linha_de_execucao.start()
            pilha.callback(linha_de_execucao.join, PRAZO)
            return ouvinte.getsockname()[1]

        yield ouvir
    assert not falhas, falhas


@pytest.fixture
def porta_sem_ninguem() -> Iterator[int]:
    """Uma porta presa (bind) sem listen: ninguém escuta nela e ninguém mais a pega."""
    with socket.socket() as preso:
        preso.bind(("127.0.0.1", 0))
        yield preso.getsockname()[1]


@pytest.fixture
def cronometro() -> Callable[[], float]:
    """Devolve quantos segundos passaram desde o começo do teste."""
    inicio = time.monotonic()
    return lambda: time.monotonic() - inicio


@pytest.fixture
def abrir_terminal(abrir) -> Iterator[Callable[[], Terminal]]:
    """abrir_terminal(): mais um terminal, que se fecha com o teste."""
    with contextlib.ExitStack() as pilha:

        def abrir_um() -> Terminal:
            terminal = Terminal(abrir)
            pilha.callback(terminal.fechar)
            return terminal

        yield abrir_um


@pytest.fixture
def terminal(abrir_terminal) -> Terminal:
    return abrir_terminal()


@pytest.fixture(scope="session")
def rede_propria() -> tuple[str, ...]:
    """O começo de um comando que roda em uma rede só dele, se o Linux deixa; senão, ()."""
    comando = ("unshare", "--user", "--map-root-user", "--net")
    comando += ("sh", "-c", 'ip link set lo up && exec "$@"', "sh")
    deixa = tem("unshare") and rodar(*comando, "true").returncode == 0
    return comando if deixa else ()
