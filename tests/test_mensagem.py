"""De onde vem a mensagem, quantos bytes ela pode ter, e que nada sai quando ela não serve."""

import errno
import os
import subprocess

import pytest
from conftest import (
    CLIENTE,
    PYTHON,
    TAMANHO_DO_BLOCO,
    do_sistema,
    erro_do_cliente,
    ninguem_bateu,
    rodar,
    rodar_cliente,
    uma_linha_de_erro,
    unix,
)


@pytest.mark.parametrize(
    "argumentos",
    [
        ["com espaços e\nquebras\n"],
        pytest.param([b"cru \xff\xfe\xc3"], marks=unix),
        ["-"],
        ["é" * 512],
        ["--", "-k"],
    ],
)
def test_o_argumento_sai_com_os_bytes_que_foram_digitados(servidor, argumentos):
    cliente = rodar_cliente(*argumentos, porta=servidor.porta)
    data = argumentos[-1] if isinstance(argumentos[-1], bytes) else argumentos[-1].encode()
    assert (cliente.returncode, cliente.stdout) == (0, data)


@pytest.mark.parametrize(
    "entrada", [b"x", b"linha\n", b"a\0b\xff\r\n\x1b[0m\0", bytes(range(256)) * 4]
)
def test_a_entrada_sai_como_esta(servidor, entrada):
    cliente = rodar_cliente(porta=servidor.porta, input=entrada)
    assert (cliente.returncode, cliente.stdout, cliente.stderr) == (0, entrada, b"")
    assert f": bytes lidos: {len(entrada)}, " in servidor.linha()


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


@pytest.mark.parametrize(
    ("argumentos", "entrada", "lidos"),
    [([""], b"outra", 0), ([], b"", 0), (["é" * 513], b"", 1026), ([], b"x" * 100_000, 1025)],
)
def test_uma_mensagem_vazia_ou_longa_e_um_erro_e_nada_e_enviado(
    ouvinte, argumentos, entrada, lidos
):
    cliente = rodar_cliente(*argumentos, porta=ouvinte.getsockname()[1], input=entrada)
    assert (cliente.returncode, cliente.stdout) == (2, b"")
    erro = uma_linha_de_erro(cliente.stderr, CLIENTE)
    assert erro == (
        f"uso incorreto: a mensagem vai de 1 a 1024 bytes; lidos: {lidos} (veja --help)"
    )
    assert ninguem_bateu(ouvinte)


@unix
@pytest.mark.parametrize("parte", [b"", b"metade"])
def test_uma_entrada_que_nao_bloqueia_e_um_erro_e_nao_uma_mensagem_cortada(ouvinte, parte):
    leitura, escrita = os.pipe()
    with os.fdopen(leitura), os.fdopen(escrita, "wb"):
        os.set_blocking(leitura, False)
        os.write(escrita, parte)
        cliente = rodar_cliente(porta=ouvinte.getsockname()[1], stdin=leitura)
    assert erro_do_cliente(cliente) == do_sistema(errno.EAGAIN)
    assert ninguem_bateu(ouvinte)


@unix
def test_uma_entrada_fechada_e_um_erro_de_uma_linha():
    cliente = rodar("sh", "-c", 'exec "$@" <&-', "sh", *PYTHON, CLIENTE)
    assert erro_do_cliente(cliente) == do_sistema(errno.EBADF)
