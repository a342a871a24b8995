"""O que se prepara uma vez para todos os testes, e o que eles pedem por nome (as fixtures)."""

import concurrent.futures
import contextlib
import faulthandler
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from apoio import CLIENTE, PYTHON, SERVIDOR, Processo, Servidor
from rede import PRAZO, esperar_ate
from terminal import Terminal

# O que mudaria o que os scripts escrevem; quem quer testar isso põe a variável de volta.
for variavel in ("PYTHONUNBUFFERED", "PYTHONIOENCODING", "POSIXLY_CORRECT"):
    os.environ.pop(variavel, None)
os.environ["PYTHONUTF8"] = "1"
# Com `&` em um roteiro, os testes recebem o Ctrl+C ignorado, e o passariam adiante.
signal.signal(signal.SIGINT, signal.default_int_handler)


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


@pytest.fixture(scope="session")
def com_este_python(tmp_path_factory) -> Callable[..., dict]:
    """com_este_python(ambiente): o ambiente em que `python3` é o Python que se testa."""
    pasta = tmp_path_factory.mktemp("caminho")
    # Um link para o Python de um .venv não acharia o que está instalado nele.
    (pasta / "python3").write_text(f"#!/bin/sh\nexec '{sys.executable}' \"$@\"\n")
    (pasta / "python3").chmod(0o755)
    return lambda de=os.environ: {**de, "PATH": f"{pasta}{os.pathsep}{de['PATH']}"}


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
def ouvinte() -> Iterator[socket.socket]:
    """Um socket que escuta, para ver quem bate à porta."""
    with socket.create_server(("127.0.0.1", 0)) as serv_socket:
        serv_socket.settimeout(PRAZO)
        yield serv_socket


@pytest.fixture
def parceiro(ouvinte) -> Iterator[Callable[[Callable], int]]:
    """parceiro(funcao): a porta de um servidor que faz com uma conexão o que a função diz."""
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
            promessa.result()  # uma exceção na função faz o teste falhar


@pytest.fixture
def ao_escutar() -> Iterator[Callable[[Callable, Callable], None]]:
    """ao_escutar(vista, funcao): outra thread se conecta à porta que a vista mostra."""
    promessas = []

    def conectar(vista: Callable[[], str], funcao: Callable[[socket.socket], None]) -> None:
        fim = time.perf_counter() + PRAZO
        esperar_ate(lambda: "\n" in vista() or time.perf_counter() > fim)
        porta = int(re.search(r":(\d+) ", vista())[1])
        with socket.create_connection(("127.0.0.1", porta), PRAZO) as conn:
            funcao(conn)

    with concurrent.futures.ThreadPoolExecutor() as equipe:
        yield lambda *que: promessas.append(equipe.submit(conectar, *que))
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
