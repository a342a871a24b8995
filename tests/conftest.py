"""O que os testes têm em comum: os dois scripts como processos, e quem fala com eles.

Espera-se pelo que um processo escreve ou pelo que um socket recebe.
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
from terminal import Terminal

if os.name == "posix":
    import resource

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


precisa_de_ipv6 = pytest.mark.skipif(not tem_ipv6(), reason="esta máquina não tem IPv6")


SAIDAS = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


class Processo(subprocess.Popen):
    """Um script em execução; com a entrada vazia, se nada se diz."""

    def __init__(self, *comando, **opcoes) -> None:
        super().__init__(comando, **{"stdin": subprocess.DEVNULL, **SAIDAS, **opcoes})

    def linha(self) -> str:
        """Espera a próxima linha da saída."""
        linha = self.stdout.readline().decode()
        assert linha.endswith("\n"), f"a saída acabou antes da linha: {linha!r} {self.erros()!r}"
        return linha.rstrip("\r\n")

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
        assert self.linha().endswith(": bytes lidos: 7, 'mais um', fim limpo")


def receber_tudo(conn: socket.socket) -> bytes:
    """Lê até o fim do fluxo; um reset (ConnectionResetError) não é um fim: o teste falha."""
    return b"".join(iter(lambda: conn.recv(65536), b""))


def eco(porta: int, mensagem: bytes) -> bytes:
    """Envia a mensagem e o fim dela, e devolve o que veio até o fim do fluxo."""
    with socket.create_connection(("127.0.0.1", porta), PRAZO) as client_socket:
        client_socket.sendall(mensagem)
        client_socket.shutdown(socket.SHUT_WR)
        return receber_tudo(client_socket)


def responder(resposta: bytes) -> Callable[[socket.socket], None]:
    """O que um parceiro faz: lê um bloco, seja qual for, e envia a resposta."""

    def ler_e_enviar(conn: socket.socket) -> None:
        assert conn.recv(TAMANHO_DO_BLOCO)
        conn.sendall(resposta)

    return ler_e_enviar


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
    return subprocess.run(comando, **{**entrada, **SAIDAS, **opcoes})


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
    """O que falhou, por um cliente que terminou com status 1, depois de escrever `saida`."""
    assert (cliente.returncode, cliente.stdout or b"") == (1, saida), cliente.stderr
    erro = uma_linha_de_erro(cliente.stderr, CLIENTE)
    com_quem, _, falha = erro.partition(" falhou: ")
    assert com_quem.startswith("a conversa com '"), erro
    return falha


def do_sistema(codigo: int) -> str:
    """O texto com que o Python mostra este errno."""
    return f"[Errno {codigo}] {os.strerror(codigo)}"


def copiar(script: Path, pasta: Path) -> Path:
    """O script em outra pasta, com o chmod 744 que uma cópia pode ter perdido."""
    pasta.mkdir(exist_ok=True)
    copia = Path(shutil.copy(script, pasta))
    copia.chmod(0o744)
    return copia


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

    def abrir_um(porta: int, *argumentos: str, inicio: tuple = (), **opcoes) -> Processo:
        return abrir(*inicio, *PYTHON, CLIENTE, "--porta", str(porta), *argumentos, **opcoes)

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
def strace() -> Callable[[str], tuple]:
    """strace(injeção): o começo de um comando em que o núcleo faz o que ela diz."""
    # Com -D, o filho do teste, que morre com ele, é o script; o strace acaba quando ele acaba.
    comando = ("strace", "-D", "-qq", "-o", os.devnull)
    if not pode_rodar(*comando):
        pytest.skip("não há strace aqui, ou o sistema não o deixa trabalhar")

    def comeco(injecao: str) -> tuple[str, ...]:
        chamada = injecao.partition(":")[0]
        return (*comando, "-e", f"trace={chamada}", "-e", f"inject={injecao}")

    return comeco


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    with contextlib.closing(Terminal()) as terminal:
        yield terminal
