"""O que os testes têm em comum: os dois scripts como processos, e quem fala com eles.

Nada aqui dorme: espera-se pelo que um processo escreve ou pelo que um socket recebe, e cada
espera tem um prazo, para que um defeito apareça como falha e não como uma suíte parada.
"""

import contextlib
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import socket
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
PELO_PYTHON = (sys.executable, str(SERVIDOR))
PRAZO = 20.0  # segundos: muito mais do que qualquer espera que dá certo
TAMANHO_DO_BLOCO = 1024  # bytes

# Um shell em segundo plano faz seus filhos ignorarem o Ctrl+C; os scripts não herdam isso daqui.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# O que mudaria o que os scripts escrevem; quem quer testar isso põe a variável de volta.
for variavel in ("PYTHONUNBUFFERED", "PYTHONIOENCODING", "COLUMNS", "FORCE_COLOR"):
    os.environ.pop(variavel, None)

linux = pytest.mark.skipif(sys.platform != "linux", reason="usa o que só o Linux oferece")


def tem(programa: str) -> bool:
    """Se o programa existe aqui; o nc tem de ser o da OpenBSD, que sabe enviar o fim (-N)."""
    if not shutil.which(programa):
        return False
    if programa != "nc":
        return True
    ajuda = subprocess.run(["nc", "-h"], capture_output=True, text=True, timeout=PRAZO)
    return "Shutdown the network socket" in ajuda.stderr + ajuda.stdout


class Processo:
    """Um script em execução, com a saída e os erros lidos por descritor e com prazo."""

    def __init__(self, comando: list[str | bytes], **opcoes) -> None:
        opcoes = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        } | opcoes
        self.popen = subprocess.Popen(comando, **opcoes)
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

    def esperar_parar(self) -> None:
        esperar_parar(self.pid)

    def enviar_sinal(self, sinal: signal.Signals = signal.SIGINT) -> None:
        self.esperar_parar()
        self.popen.send_signal(sinal)

    def encerrar(self) -> None:
        self.popen.kill()
        self.popen.wait(PRAZO)
        for cano in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if cano:
                with contextlib.suppress(BrokenPipeError):
                    cano.close()


class Servidor(Processo):
    """O servidor, já escutando em uma porta que o sistema escolheu."""

    def __init__(self, *argumentos: str, comando: tuple = PELO_PYTHON, **opcoes) -> None:
        super().__init__([*comando, "--porta", "0", *argumentos], **opcoes)
        self.anuncio = self.linha()
        host, porta = re.match(r"Escutando em (\S+):(\d+)( |$)", self.anuncio).group(1, 2)
        self.host, self.porta = host.strip("[]"), int(porta)

    def conectar(self) -> socket.socket:
        """Um cliente feito à mão, para os modos que um cliente correto não tem."""
        return socket.create_connection((self.host, self.porta), PRAZO)

    def ainda_atende(self) -> None:
        """Falha se a próxima conexão não recebe o eco inteiro e um fim limpo."""
        assert eco(self, b"mais um") == b"mais um"
        assert "7 bytes, 'mais um'" in self.linha()


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
        """No processo filho: o terminal passa a ser o dele, e o Ctrl+C chega a ele."""
        os.setsid()
        fcntl.ioctl(self.programa, termios.TIOCSCTTY, 0)

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


def esperar_parar(pid: int) -> None:
    """Espera o processo dormir em uma chamada ao sistema (no Linux, que conta isso).

    Entre a última vez que o Python olha os sinais e a chamada que bloqueia, há um instante em
    que um sinal fica anotado e não acorda ninguém; para uma pessoa, basta repeti-lo.
    """
    prazo = time.monotonic() + PRAZO
    while sys.platform == "linux" and estado(pid) != "S":
        assert time.monotonic() < prazo, "o processo não parou em nenhuma chamada"


def estado(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


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
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    conn.close()


def tamanho_da_fila(porta: int) -> int:
    """Quantas conexões prontas esperam o accept: a coluna rx_queue de um socket que escuta."""
    with open("/proc/net/tcp") as tabela:
        for campos in map(str.split, tabela):
            if campos[1] == f"0100007F:{porta:04X}" and campos[3] == "0A":
                return int(campos[4].split(":")[1], 16)
    raise AssertionError("ninguém escuta nessa porta")


def esperar_a_fila_esvaziar(porta: int) -> None:
    prazo = time.monotonic() + PRAZO
    while tamanho_da_fila(porta):
        assert time.monotonic() < prazo, "o servidor não aceitou a conexão"


def esperar_o_cano_esvaziar(descritor: int) -> None:
    """Volta quando o processo na outra ponta do cano leu tudo o que havia nele."""
    prazo = time.monotonic() + PRAZO
    while any(fcntl.ioctl(descritor, termios.FIONREAD, bytes(4))):
        assert time.monotonic() < prazo, "ninguém leu o cano"


def encher_ate_parar(escrever: Callable[[bytes], object]) -> None:
    """Escreve até o outro lado não aceitar mais: é ele quem parou de ler."""
    with contextlib.suppress(BlockingIOError, TimeoutError):
        while True:
            escrever(b"x" * 65536)


def rodar_cliente(
    *argumentos: str | bytes,
    porta: int,
    entrada: bytes | None = None,
    script: Path = CLIENTE,
    **opcoes,
) -> subprocess.CompletedProcess[bytes]:
    """Roda o cliente até o fim; sem `entrada`, o stdin está vazio."""
    return subprocess.run(
        [sys.executable, script, "--porta", str(porta), *argumentos],
        input=entrada or b"",
        **({"capture_output": True} | opcoes),
        timeout=PRAZO,
    )


def uma_linha_de_erro(stderr: bytes | str, script: str) -> str:
    """Verifica que o stderr é uma linha só, no formato combinado, e devolve a mensagem."""
    texto = stderr.decode() if isinstance(stderr, bytes) else stderr
    assert texto.startswith(f"{script}: erro: "), texto
    assert texto.endswith("\n"), texto
    assert texto.count("\n") == 1, texto
    return texto.removeprefix(f"{script}: erro: ").rstrip()


def do_sistema(codigo: int) -> str:
    """O texto com que o Python mostra este errno."""
    return f"[Errno {codigo}] {os.strerror(codigo)}"


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
def servidor(abrir) -> Servidor:
    """O servidor como vem: uma conexão e fim."""
    return abrir(Servidor)


@pytest.fixture
def servidor_continuo(abrir) -> Servidor:
    """O servidor com -k, que só termina quando alguém o manda."""
    return abrir(Servidor, "-k")


@pytest.fixture
def parceiro() -> Iterator[Callable[[Callable[[socket.socket], None]], int]]:
    """parceiro(funcao): um servidor de uma conexão que faz com ela o que a função diz.

    Devolve a porta. Uma exceção na função faz o teste falhar ao terminar.
    """
    with contextlib.ExitStack() as pilha:
        falhas: list[BaseException] = []

        def ouvir(funcao: Callable[[socket.socket], None], host: str = "127.0.0.1") -> int:
            serv_socket = pilha.enter_context(socket.create_server((host, 0)))
            serv_socket.settimeout(PRAZO)

            def atender() -> None:
                try:
                    conn, _ = serv_socket.accept()
                    with conn:
                        conn.settimeout(PRAZO)
                        funcao(conn)
                except BaseException as exc:
                    falhas.append(exc)

            linha_de_execucao = threading.Thread(target=atender, daemon=True)
            linha_de_execucao.start()
            pilha.callback(linha_de_execucao.join, PRAZO)
            return serv_socket.getsockname()[1]

        yield ouvir
    assert not falhas, falhas


@pytest.fixture
def porta_sem_ninguem() -> Iterator[int]:
    """Uma porta presa (bind) sem listen: ninguém escuta nela e ninguém mais a pega."""
    with socket.socket() as preso:
        preso.bind(("127.0.0.1", 0))
        yield preso.getsockname()[1]


@pytest.fixture(params=[False, True], ids=["com buffer", "sem buffer"])
def com_e_sem_buffer(request, monkeypatch) -> None:
    """Repete o teste com PYTHONUNBUFFERED, comum em contêineres."""
    if request.param:
        monkeypatch.setenv("PYTHONUNBUFFERED", "1")


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
