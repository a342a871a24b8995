"""O que os testes têm em comum: os dois scripts como processos, e quem fala com eles.

Espera-se pelo que um processo escreve ou pelo que um socket recebe. Cada arquivo guarda uma
parte: a conversa que dá certo em test_conversa; a entrada em test_mensagem, a saída em
test_resposta, e as pessoas em test_terminal, test_editor e test_sinais; quem fica no meio em
test_caminho; o que dá errado em test_erros, test_enderecos, test_clientes_dificeis e
test_encerramento; o projeto em si em test_projeto e test_readme.
"""

import concurrent.futures
import contextlib
import faulthandler
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

if os.name == "posix":
    import fcntl
    import pty
    import resource
    import termios

RAIZ = Path(__file__).resolve().parent.parent
SERVIDOR = RAIZ / "servidor_socket.py"
CLIENTE = RAIZ / "cliente_socket.py"
# No modo de desenvolvimento, um socket ou arquivo esquecido aberto suja o stderr.
PYTHON = (sys.executable, "-X", "dev", "-W", "error")
PRAZO = 60.0  # segundos: muito mais do que qualquer teste que dá certo
FOLGA = 4.0  # segundos: para uma máquina ocupada; bem menos que os tempos limite de fábrica
TAMANHO_DO_BLOCO = 1024  # bytes

# O que mudaria o que os scripts escrevem; quem quer testar isso põe a variável de volta.
for variavel in ("PYTHONUNBUFFERED", "PYTHONIOENCODING", "POSIXLY_CORRECT"):
    os.environ.pop(variavel, None)
os.environ["PYTHONUTF8"] = "1"
# Com `&` em um roteiro, os testes recebem o Ctrl+C ignorado, e o passariam adiante.
signal.signal(signal.SIGINT, signal.default_int_handler)

linux = pytest.mark.skipif(sys.platform != "linux", reason="usa o que só o Linux oferece")
unix = pytest.mark.skipif(os.name != "posix", reason="usa o que só um Unix oferece")


@pytest.fixture(autouse=True)
def um_defeito_e_uma_falha_e_nao_uma_suite_parada() -> Iterator[None]:
    """Interrompe o teste que passa do prazo; onde não há alarme (no Windows), a suíte inteira."""

    def falhar(*_: object) -> None:
        raise AssertionError(f"o teste não terminou em {PRAZO} s")

    if os.name == "posix":
        signal.signal(signal.SIGALRM, falhar)
        signal.setitimer(signal.ITIMER_REAL, PRAZO)
        yield
        signal.setitimer(signal.ITIMER_REAL, 0)
    else:
        faulthandler.dump_traceback_later(PRAZO, exit=True, file=sys.__stderr__)
        yield
        faulthandler.cancel_dump_traceback_later()


def precisa_de(programa: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not shutil.which(programa), reason=f"não há {programa} aqui")


def tem_ipv6() -> bool:
    """Se esta máquina escuta em ::1."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


# Com -D, o filho do teste, que morre com ele, é o script; o strace acaba quando o script acaba.
STRACE = ("strace", "-D", "-qq", "-o", os.devnull)
precisa_de_ipv6 = pytest.mark.skipif(not tem_ipv6(), reason="esta máquina não tem IPv6")


def como_o_sistema_recebe(comando: tuple) -> list:
    """O comando em UTF-8, mesmo que a máquina use outra codificação; no Windows, em texto."""
    if os.name == "nt":
        return [os.fspath(parte) for parte in comando]
    return [parte if isinstance(parte, bytes) else os.fspath(parte).encode() for parte in comando]


SAIDAS = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


class Processo(subprocess.Popen):
    """Um script em execução; com a entrada vazia, se nada se diz."""

    def __init__(self, *comando, **opcoes) -> None:
        pontas = {"stdin": subprocess.DEVNULL, **SAIDAS}
        super().__init__(como_o_sistema_recebe(comando), **{**pontas, **opcoes})

    def linha(self) -> str:
        """Espera a próxima linha da saída."""
        linha = self.stdout.readline().decode()
        assert linha.endswith("\n"), f"a saída acabou antes da linha: {linha!r} {self.erros()!r}"
        return linha[:-1]

    def resto(self) -> str:
        """Lê a saída até o fim."""
        return self.stdout.read().decode()

    def erros(self) -> str:
        """Lê o stderr até o fim."""
        return self.stderr.read().decode().replace(os.linesep, "\n")


class Servidor(Processo):
    """O servidor, em uma porta que o sistema escolhe."""

    def ler_o_anuncio(self) -> None:
        """Espera que ele escute."""
        self.anuncio = self.linha()
        host, porta = re.match(r"Escutando em (\S+):(\d+)( |$)", self.anuncio).group(1, 2)
        self.host, self.porta = host.strip("[]"), int(porta)

    def conectar(self) -> socket.socket:
        """Um cliente feito à mão, para os modos que um cliente correto não tem."""
        return socket.create_connection((self.host, self.porta), PRAZO)

    def ainda_atende(self) -> None:
        """Falha se a próxima conexão não recebe o eco inteiro e um fim limpo."""
        assert eco(self.porta, b"mais um") == b"mais um"
        assert self.linha().endswith(": 7 bytes, 'mais um', fim limpo")


class Terminal:
    """Um pseudoterminal: o que a pessoa vê e o que ela digita."""

    def __init__(self) -> None:
        if os.name != "posix":
            pytest.skip("o pseudoterminal é de um Unix")
        self.pessoa, self.programa = pty.openpty()
        self.visto = b""

    def pontas(self) -> dict:
        """As opções com que um processo nasce neste terminal."""
        pontas = dict.fromkeys(("stdin", "stdout", "stderr"), self.programa)
        return {**pontas, "preexec_fn": self._tomar}

    def _tomar(self) -> None:
        """No processo filho: o terminal passa a ser o dele, e o Ctrl+C chega a ele e o mata."""
        os.setsid()
        fcntl.ioctl(self.programa, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def ler(self) -> bytes:
        try:
            return os.read(self.pessoa, 65536)
        except OSError:  # é assim que um pseudoterminal conta que o outro lado fechou
            return b""

    def esperar(self, texto: str) -> None:
        """Lê a tela até que o texto apareça nela."""
        while texto.encode() not in self.visto:
            pedaco = self.ler()
            assert pedaco, f"a tela acabou antes de {texto!r}: {self.visto!r}"
            self.visto += pedaco

    def porta(self) -> int:
        """Espera que o servidor escute, e lê na tela a porta dele."""
        self.esperar("encerra)\r\n")
        return int(re.search(rb":(\d+) ", self.visto)[1])

    def tela(self) -> str:
        """Fecha o lado do programa e lê tudo o que ele mostrou."""
        os.close(self.programa)
        self.programa = -1
        while pedaco := self.ler():
            self.visto += pedaco
        return self.visto.decode()

    def digitar(self, teclas: bytes) -> None:
        os.write(self.pessoa, teclas)

    def close(self) -> None:
        for descritor in (self.pessoa, self.programa):
            with contextlib.suppress(OSError):
                os.close(descritor)


def receber_tudo(conn: socket.socket) -> bytes:
    """Lê até o fim do fluxo; um reset (ConnectionResetError) não é um fim: o teste falha."""
    return b"".join(iter(lambda: conn.recv(65536), b""))


def eco(porta: int, mensagem: bytes) -> bytes:
    """Envia a mensagem e o fim dela, e devolve o que veio até o fim do fluxo."""
    with socket.create_connection(("127.0.0.1", porta), PRAZO) as client_socket:
        client_socket.sendall(mensagem)
        client_socket.shutdown(socket.SHUT_WR)
        return receber_tudo(client_socket)


def resetar(conn: socket.socket) -> None:
    """Fecha com um reset (SO_LINGER ligado, 0 segundos) em vez de um fim."""
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


def esperar_ate(condicao: Callable[[], object]) -> None:
    """Volta quando a condição vale."""
    while not condicao():
        time.sleep(0.001)  # cede a vez a quem se espera


def rodar(*comando, **opcoes) -> subprocess.CompletedProcess:
    """Roda o comando até o fim; com a entrada vazia, se nada se diz."""
    entrada = {} if "input" in opcoes else {"stdin": subprocess.DEVNULL}
    return subprocess.run(como_o_sistema_recebe(comando), **{**entrada, **SAIDAS, **opcoes})


def rodar_cliente(
    *argumentos, porta: int, inicio: tuple = (), **opcoes
) -> subprocess.CompletedProcess:
    return rodar(*inicio, *PYTHON, CLIENTE, "--porta", str(porta), *argumentos, **opcoes)


def pode_rodar(*inicio: str) -> bool:
    """Se o Python dos testes roda com esse começo de comando."""
    return bool(shutil.which(inicio[0])) and not rodar(*inicio, *PYTHON, "-c", "").returncode


def uma_linha_de_erro(stderr: "bytes | str", script: Path) -> str:
    """Verifica que o stderr é uma linha só, no formato combinado, e devolve a mensagem."""
    texto = stderr if isinstance(stderr, str) else stderr.decode().replace(os.linesep, "\n")
    assert texto.startswith(f"{script.name}: erro: "), texto
    assert texto.endswith("\n"), texto
    assert texto[:-1].isprintable(), texto
    return texto[len(f"{script.name}: erro: ") : -1]


def erro_do_cliente(cliente: subprocess.CompletedProcess, saida: bytes = b"") -> str:
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
    """abrir(comando, ...): um processo que morre com o teste, e as pontas dele se fecham."""
    with contextlib.ExitStack() as pilha:

        def abrir_um(*comando, classe: type[Processo] = Processo, **opcoes) -> Processo:
            processo = pilha.enter_context(classe(*comando, **opcoes))
            pilha.callback(processo.kill)
            return processo

        yield abrir_um


@pytest.fixture
def abrir_servidor(abrir) -> Callable:
    """abrir_servidor(argumentos, ...): o servidor, que já escuta."""

    def abrir_um(*argumentos: str, comando: tuple = (*PYTHON, SERVIDOR), **opcoes) -> Servidor:
        servidor = abrir(*comando, "--porta", "0", *argumentos, classe=Servidor, **opcoes)
        servidor.ler_o_anuncio()
        return servidor

    return abrir_um


@pytest.fixture
def abrir_cliente(abrir) -> Callable:
    """abrir_cliente(porta, ...): o cliente, que continua enquanto o teste faz outra coisa."""

    def abrir_um(porta: int, *argumentos: str, **opcoes) -> Processo:
        return abrir(*PYTHON, CLIENTE, "--porta", str(porta), *argumentos, **opcoes)

    return abrir_um


@pytest.fixture
def servidor(abrir_servidor) -> Servidor:
    """O servidor como vem: uma conexão e fim."""
    return abrir_servidor()


@pytest.fixture
def servidor_continuo(abrir_servidor) -> Servidor:
    """O servidor com --continuo, que só termina quando alguém manda."""
    return abrir_servidor("--continuo")


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
def parceiro(ouvinte) -> Iterator[Callable[[Callable], int]]:
    """parceiro(funcao): um servidor de uma conexão que faz com ela o que a função diz.

    Devolve a porta. Uma exceção na função faz o teste falhar ao terminar.
    """
    promessas = []

    def atender(funcao: Callable[[socket.socket], None]) -> None:
        conn, _ = ouvinte.accept()
        with conn:
            conn.settimeout(PRAZO)
            funcao(conn)

    def ouvir(funcao: Callable[[socket.socket], None]) -> int:
        promessas.append(equipe.submit(atender, funcao))
        return ouvinte.getsockname()[1]

    with concurrent.futures.ThreadPoolExecutor() as equipe:
        yield ouvir
        for promessa in promessas:
            promessa.result()


@pytest.fixture
def porta_sem_ninguem() -> Iterator[int]:
    """Uma porta presa (bind) sem listen: ninguém escuta nela e ninguém mais a pega."""
    with socket.socket() as preso:
        preso.bind(("127.0.0.1", 0))
        yield preso.getsockname()[1]


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    with contextlib.closing(Terminal()) as terminal:
        yield terminal


@pytest.fixture(scope="session")
def rede_propria() -> tuple[str, ...]:
    """O começo de um comando que roda em uma rede só dele, se o Linux deixa; senão, ()."""
    comando = ("unshare", "--user", "--map-root-user", "--net")
    comando += ("sh", "-c", 'ip link set lo up && exec "$@"', "sh")
    return comando if pode_rodar(*comando) else ()
