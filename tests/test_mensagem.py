"""De onde vem a mensagem, quantos bytes ela pode ter, e que nada sai quando ela não serve."""

import codecs
import errno
import io
import os
import subprocess
import sys

import pytest
from _pytest.capture import DontReadFromInput
from apoio import CLIENTE, chamar, erro_de, rodar_cliente, uma_linha_de_erro
from maquina import do_sistema, unix
from rede import TAMANHO_DO_BLOCO, ecoar_um_bloco, ninguem_bateu

import cliente_socket


def em_bytes(data: bytes) -> io.TextIOWrapper:
    """É o que o CliRunner do click põe no lugar da entrada."""
    return io.TextIOWrapper(io.BytesIO(data), "utf-8")


def test_o_argumento_sai_como_esta(parceiro):
    for argumentos in (["com espaços e\nquebras\n"], ["-"], ["é" * 512], ["--", "-k"]):
        lidos = []
        porta = str(parceiro(ecoar_um_bloco(lidos)))
        assert chamar(CLIENTE, "--porta", porta, *argumentos)[::2] == (0, "")
        assert lidos == [argumentos[-1].encode()]


@pytest.mark.parametrize(
    ("argumentos", "entrada"),
    [
        ([], b"a\0b\xff\r\n\x1b[0m\0\n"),
        ([], bytes(range(256)) * 4),
        pytest.param([b"cru \xff\xfe\xc3"], b"", marks=unix),
    ],
)
def test_os_bytes_da_entrada_e_os_digitados_saem_como_estao(parceiro, argumentos, entrada):
    lidos = []
    cliente = rodar_cliente(*argumentos, porta=parceiro(ecoar_um_bloco(lidos)), input=entrada)
    assert (cliente.returncode, cliente.stderr) == (0, b"")
    assert [cliente.stdout] == lidos == (argumentos or [entrada])


@pytest.mark.parametrize(
    ("entrada", "lido"),
    [
        (io.StringIO("olá\n\udcff"), "olá\n".encode() + b"\xff"),
        (em_bytes(b"ola\r\n"), b"ola\r\n"),
        (em_bytes(b"ol\xe1"), b"ol\xe1"),
    ],
)
def test_o_que_se_poe_no_lugar_da_entrada_sai_como_esta(parceiro, monkeypatch, entrada, lido):
    lidos = []
    porta = str(parceiro(ecoar_um_bloco(lidos)))
    monkeypatch.setattr(sys, "stdin", entrada)
    monkeypatch.setattr(sys, "argv", ["cliente_socket.py", "--porta", porta])
    assert cliente_socket.main() == 0
    assert lidos == [lido]


def test_a_entrada_e_lida_ate_o_fim_antes_de_conectar(abrir_cliente, ouvinte):
    """Com a entrada aberta, ninguém bate à porta; os pedaços dela são uma mensagem só."""
    cliente = abrir_cliente(ouvinte.getsockname()[1], stdin=subprocess.PIPE)
    os.write(cliente.stdin.fileno(), b"um")
    assert ninguem_bateu(ouvinte, 0.2)
    os.write(cliente.stdin.fileno(), b"dois")
    cliente.stdin.close()
    conn, _ = ouvinte.accept()
    with conn:
        assert conn.recv(TAMANHO_DO_BLOCO) == b"umdois"
        conn.sendall(b"umdois")
    assert cliente.wait() == 0


FORA_DO_TAMANHO = "uso incorreto: a mensagem vai de 1 a 1024 bytes; lidos: {} (veja --help)"


@pytest.mark.parametrize(
    ("argumentos", "entrada", "lidos"),
    [([""], b"oi", 0), (["é" * 513], b"oi", 1026), ([], b"\r\n" * 600, 1025)],
)
def test_uma_mensagem_vazia_ou_longa(ouvinte, monkeypatch, argumentos, entrada, lidos):
    monkeypatch.setattr(sys, "stdin", em_bytes(entrada))
    erro = erro_de(CLIENTE, 2, "--porta", str(ouvinte.getsockname()[1]), *argumentos)
    assert erro == FORA_DO_TAMANHO.format(lidos)
    assert ninguem_bateu(ouvinte)


@pytest.mark.parametrize(("entrada", "lidos"), [(b"", 0), (b"x" * 100_000, 1025)])
def test_um_arquivo_vazio_ou_longo_e_um_erro(ouvinte, entrada, lidos):
    cliente = rodar_cliente(porta=ouvinte.getsockname()[1], input=entrada)
    assert (cliente.returncode, cliente.stdout, ninguem_bateu(ouvinte)) == (2, b"", True)
    assert uma_linha_de_erro(cliente.stderr, CLIENTE) == FORA_DO_TAMANHO.format(lidos)


NAO_LEU = "não foi possível ler a mensagem: "


@pytest.mark.parametrize(
    ("entrada", "erro"),
    [
        (codecs.getreader("utf-8")(io.BytesIO(b"\xff")), "'utf-8' codec can't decode"),
        (DontReadFromInput(), "pytest: reading from stdin while output is captured"),
        (io.TextIOBase(), "read"),  # a do marimo, que só tem o readline
    ],
)
def test_uma_entrada_que_nao_se_le_e_uma_linha_so_dela(ouvinte, monkeypatch, entrada, erro):
    monkeypatch.setattr(sys, "stdin", entrada)
    visto = erro_de(CLIENTE, 1, "--porta", str(ouvinte.getsockname()[1]))
    assert visto.startswith(f"{NAO_LEU}{erro}")
    assert ninguem_bateu(ouvinte)


@unix
@pytest.mark.parametrize(
    ("estragar", "erro"),
    [
        (lambda: os.close(0), errno.EBADF),
        (lambda: os.set_blocking(0, False), errno.EAGAIN),  # nada de uma mensagem cortada
    ],
)
def test_uma_entrada_fechada_ou_que_nao_espera_e_um_erro_de_uma_linha(ouvinte, estragar, erro):
    leitura, escrita = os.pipe()
    with os.fdopen(leitura), os.fdopen(escrita, "wb"):
        os.write(escrita, b"metade")
        como = {"stdin": leitura, "preexec_fn": estragar}
        cliente = rodar_cliente(porta=ouvinte.getsockname()[1], **como)
    assert (cliente.returncode, cliente.stdout, ninguem_bateu(ouvinte)) == (1, b"", True)
    assert uma_linha_de_erro(cliente.stderr, CLIENTE) == f"{NAO_LEU}{do_sistema(erro)}"
