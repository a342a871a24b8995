"""A resposta sai inteira e sem mudança, e o que falta é contado no stderr e no status."""

import errno
import socket
import threading

import pytest
from conftest import (
    CLIENTE,
    PRAZO,
    PYTHON,
    do_sistema,
    erro_do_cliente,
    limitar_o_arquivo_a,
    linux,
    ninguem_bateu,
    resetar,
    responder,
    rodar,
    rodar_cliente,
    unix,
)


def test_a_saida_e_a_resposta_como_veio_ate_o_fim_do_fluxo(parceiro):
    resposta = bytes(range(256)) * 5000
    cliente = rodar_cliente("oi", porta=parceiro(responder(resposta)))
    assert (cliente.returncode, cliente.stdout, cliente.stderr) == (0, resposta, b"")


@pytest.mark.parametrize("resposta", [b"", b"o"])
def test_uma_resposta_menor_que_a_mensagem_e_um_erro_com_os_dois_numeros(parceiro, resposta):
    cliente = rodar_cliente("oito byt", porta=parceiro(responder(resposta)))
    assert erro_do_cliente(cliente, resposta) == (f"a resposta tem {len(resposta)} dos 8 bytes")


@linux
@pytest.mark.parametrize("resposta", [b"", b"metade"])
def test_um_reset_e_um_erro_e_o_que_chegou_antes_e_impresso(parceiro, resposta):
    def responder_e_resetar(conn: socket.socket) -> None:
        responder(resposta)(conn)
        resetar(conn)

    cliente = rodar_cliente("oi", porta=parceiro(responder_e_resetar))
    erro = erro_do_cliente(cliente, resposta)
    assert erro == do_sistema(errno.ECONNRESET)


def test_o_limite_vale_tambem_no_meio_e_o_que_chegou_e_impresso(parceiro):
    terminou = threading.Event()

    def calar(conn: socket.socket) -> None:
        conn.sendall(b"metade")
        assert terminou.wait(PRAZO)

    cliente = rodar_cliente("oi", "--tempo-limite", "2", porta=parceiro(calar))
    terminou.set()
    assert erro_do_cliente(cliente, b"metade") == "tempo limite esgotado"


@linux
def test_um_disco_que_enche_no_meio_da_resposta_e_um_erro_de_uma_linha(parceiro, tmp_path):
    destino = tmp_path / "resposta"
    with destino.open("wb") as saida:
        como = {"stdout": saida, "preexec_fn": limitar_o_arquivo_a(1500)}
        cliente = rodar_cliente("oi", porta=parceiro(responder(b"x" * 2048)), **como)
    assert erro_do_cliente(cliente) == do_sistema(errno.EFBIG)
    assert destino.read_bytes() == b"x" * 1500


@unix
def test_com_a_saida_fechada_a_resposta_nao_vai_parar_no_socket_nem_se_perde_calada(ouvinte):
    """Sem a saída, o descritor dela seria o do próximo socket."""
    porta = str(ouvinte.getsockname()[1])
    comando = ("sh", "-c", 'exec "$@" >&-', "sh", *PYTHON, CLIENTE, "--porta", porta, "oi")
    cliente = rodar(*comando)
    assert cliente.returncode == 1
    assert cliente.stderr
    assert ninguem_bateu(ouvinte)
