"""De onde vem a mensagem, quantos bytes ela pode ter, e que nada sai quando ela não serve."""

import errno
import os
import resource
import signal
import socket
import subprocess
import sys

import pytest
from conftest import (
    CLIENTE,
    PRAZO,
    TAMANHO_DO_BLOCO,
    Processo,
    do_sistema,
    esperar_o_cano_esvaziar,
    linux,
    receber_tudo,
    rodar_cliente,
    uma_linha_de_erro,
)


@pytest.fixture
def ouvinte(parceiro):
    """Um eco que guarda o que recebeu até o fim do fluxo."""
    recebido = []

    def guardar(conn: socket.socket) -> None:
        recebido.append(receber_tudo(conn))
        conn.sendall(recebido[0])

    return parceiro(guardar), recebido


@pytest.mark.parametrize(
    ("argumento", "enviado"),
    [
        ("olá", "olá".encode()),
        ("com espaços e\nquebras\n", "com espaços e\nquebras\n".encode()),
        (b"cru \xff\xfe\xc3", b"cru \xff\xfe\xc3"),
        ("-", b"-"),
        ("x" * TAMANHO_DO_BLOCO, b"x" * TAMANHO_DO_BLOCO),
        ("é" * 512, "é".encode() * 512),
    ],
)
def test_o_argumento_sai_em_utf8_e_o_que_nao_e_utf8_passa_como_esta(ouvinte, argumento, enviado):
    porta, recebido = ouvinte
    cliente = rodar_cliente(argumento, porta=porta)
    assert (cliente.returncode, cliente.stdout) == (0, enviado)
    assert recebido == [enviado]


def test_uma_mensagem_que_comeca_com_traco_vem_depois_de_dois_tracos(ouvinte):
    porta, recebido = ouvinte
    assert rodar_cliente("--", "-k", porta=porta).returncode == 0
    assert recebido == [b"-k"]


@pytest.mark.parametrize(
    "entrada", [b"a\0b", b"linha\n", b"\n", b"\xff\r\n\x1b[0m\0", b"x" * TAMANHO_DO_BLOCO]
)
def test_a_entrada_sai_byte_por_byte(ouvinte, entrada):
    porta, recebido = ouvinte
    cliente = rodar_cliente(porta=porta, entrada=entrada)
    assert (cliente.returncode, cliente.stdout, cliente.stderr) == (0, entrada, b"")
    assert recebido == [entrada]


@linux
def test_a_entrada_que_chega_em_pedacos_e_uma_mensagem_so(abrir, ouvinte):
    porta, recebido = ouvinte
    comando = [sys.executable, str(CLIENTE), "--porta", str(porta)]
    cliente = abrir(Processo, comando, stdin=subprocess.PIPE)
    cano = cliente.popen.stdin
    os.write(cano.fileno(), b"um")
    esperar_o_cano_esvaziar(cano.fileno())
    os.write(cano.fileno(), b"dois")
    cano.close()
    assert cliente.resto() == "umdois"
    assert cliente.status() == 0
    assert recebido == [b"umdois"]


@pytest.mark.parametrize(
    ("argumentos", "entrada", "quantos"),
    [
        ([""], b"", "0 bytes;"),
        ([], b"", "0 bytes;"),
        (["x" * 2000], b"", "2000 bytes;"),
        (["é" * 513], b"", "1026 bytes;"),
        ([], b"x" * 1025, "1025 bytes ou mais;"),
        ([], b"x" * 100_000, "1025 bytes ou mais;"),
    ],
)
def test_uma_mensagem_vazia_ou_longa_e_um_erro_e_nada_e_enviado(argumentos, entrada, quantos):
    with socket.create_server(("127.0.0.1", 0)) as serv_socket:
        cliente = rodar_cliente(*argumentos, porta=serv_socket.getsockname()[1], entrada=entrada)
        assert cliente.returncode == 2
        assert cliente.stdout == b""
        erro = uma_linha_de_erro(cliente.stderr, "cliente_socket.py")
        assert erro.startswith(f"a mensagem tem {quantos} o servidor lê de 1 a 1024")
        serv_socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            serv_socket.accept()


@linux
def test_uma_entrada_sem_fim_termina_em_erro_com_memoria_constante(porta_sem_ninguem):
    """Com 64 MiB ao todo, ler a entrada até o fim seria ficar sem memória."""

    def limitar() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (64 * 2**20, 64 * 2**20))

    with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as yes:
        cliente = subprocess.run(
            [sys.executable, CLIENTE, "--porta", str(porta_sem_ninguem)],
            stdin=yes.stdout,
            capture_output=True,
            timeout=PRAZO,
            preexec_fn=limitar,
        )
        yes.stdout.close()
        assert yes.wait(PRAZO) == -signal.SIGPIPE
    assert cliente.returncode == 2
    assert "1025 bytes ou mais" in uma_linha_de_erro(cliente.stderr, "cliente_socket.py")


def test_a_mensagem_e_lida_antes_de_conectar(abrir):
    """Com a entrada aberta e sem fim, ninguém bate à porta; com o fim dela, sim."""
    with socket.create_server(("127.0.0.1", 0)) as serv_socket:
        comando = [sys.executable, str(CLIENTE), "--porta", str(serv_socket.getsockname()[1])]
        cliente = abrir(Processo, comando, stdin=subprocess.PIPE)
        cliente.popen.stdin.write(b"devagar")
        cliente.popen.stdin.flush()
        serv_socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            serv_socket.accept()
        cliente.popen.stdin.close()
        serv_socket.settimeout(PRAZO)
        conn, _ = serv_socket.accept()
        with conn:
            assert receber_tudo(conn) == b"devagar"
            conn.sendall(b"devagar")
    assert cliente.status() == 0


def test_uma_entrada_fechada_e_um_erro_de_uma_linha(porta_sem_ninguem):
    cliente = subprocess.run(
        ["sh", "-c", f'exec "$0" "$1" --porta {porta_sem_ninguem} <&-', sys.executable, CLIENTE],
        capture_output=True,
        timeout=PRAZO,
    )
    assert cliente.returncode == 1
    erro = uma_linha_de_erro(cliente.stderr, "cliente_socket.py")
    assert erro == f"não foi possível ler a mensagem: {do_sistema(errno.EBADF)}"
