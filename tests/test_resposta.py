"""A resposta sai inteira e sem mudança, e o que falta é contado no stderr e no status."""

import contextlib
import errno
import select
import socket
import threading
import time

import pytest
from conftest import (
    CLIENTE,
    FOLGA,
    PRAZO,
    PYTHON,
    STRACE,
    TAMANHO_DO_BLOCO,
    do_sistema,
    erro_do_cliente,
    limitar_o_arquivo_a,
    linux,
    ninguem_bateu,
    precisa_de,
    resetar,
    rodar,
    rodar_cliente,
    unix,
)

RECUSA = "conexão recusada (o servidor está escutando nesse endereço?)"
A_CONVERSA_FALHOU = "a conversa falhou: "


def test_a_saida_e_a_resposta_como_veio_ate_o_fim_do_fluxo(parceiro):
    resposta = bytes(range(256)) * 5000

    def responder(conn: socket.socket) -> None:
        assert conn.recv(TAMANHO_DO_BLOCO) == b"oi"
        conn.sendall(resposta)

    cliente = rodar_cliente("oi", porta=parceiro(responder))
    assert (cliente.returncode, cliente.stdout, cliente.stderr) == (0, resposta, b"")


def test_cada_pedaco_aparece_na_saida_assim_que_chega(abrir_cliente, ouvinte):
    """O parceiro só continua depois que o primeiro pedaço foi visto."""
    cliente = abrir_cliente(ouvinte.getsockname()[1], "oi")
    conn, _ = ouvinte.accept()
    with conn:
        assert conn.recv(TAMANHO_DO_BLOCO) == b"oi"
        for parte in ("parte um", "parte dois"):
            conn.sendall(f"{parte}\n".encode())
            assert cliente.linha() == parte
    assert cliente.wait() == 0


@pytest.mark.parametrize("resposta", [b"", b"o"])
def test_uma_resposta_menor_que_a_mensagem_e_um_erro_com_os_dois_numeros(parceiro, resposta):
    def responder_pouco(conn: socket.socket) -> None:
        conn.recv(TAMANHO_DO_BLOCO)
        conn.sendall(resposta)

    cliente = rodar_cliente("oito byt", porta=parceiro(responder_pouco))
    assert erro_do_cliente(cliente, resposta) == (
        f"{A_CONVERSA_FALHOU}a resposta tem {len(resposta)} dos 8 bytes"
    )


@linux
@pytest.mark.parametrize("resposta", [b"", b"metade"])
def test_um_reset_e_um_erro_e_o_que_chegou_antes_e_impresso(parceiro, resposta):
    def responder_e_resetar(conn: socket.socket) -> None:
        conn.recv(TAMANHO_DO_BLOCO)
        conn.sendall(resposta)
        resetar(conn)

    cliente = rodar_cliente("oi", porta=parceiro(responder_e_resetar))
    erro = erro_do_cliente(cliente, resposta)
    assert erro == A_CONVERSA_FALHOU + do_sistema(errno.ECONNRESET)


@linux
@precisa_de("strace")
@pytest.mark.parametrize(
    ("chamada", "espera", "falha"),
    [
        ("connect:delay_exit", 0.0, errno.EPIPE),
        ("?send,sendto:delay_enter", 0.1, errno.ECONNRESET),
    ],
)
def test_o_que_diz_um_servidor_que_encerra_sem_ler_nada_aparece_antes_do_erro(
    parceiro, chamada, espera, falha
):
    """O strace atrasa o cliente: o reset chega ainda no connect_ex, ou antes que ele envie."""

    def despedir_se(conn: socket.socket) -> None:
        assert not select.select([conn], [], [], espera)[0]
        conn.sendall(b"220 adeus\r\n")
        resetar(conn)

    trace = f"trace={chamada.partition(':')[0]}"
    strace = (*STRACE, "-e", trace, "-e", f"inject={chamada}=600000")
    cliente = rodar_cliente("oi", porta=parceiro(despedir_se), inicio=strace)
    erro = erro_do_cliente(cliente, b"220 adeus\r\n")
    assert erro == A_CONVERSA_FALHOU + do_sistema(falha)


def test_o_limite_vale_tambem_no_meio_e_o_que_chegou_e_impresso(parceiro):
    terminou = threading.Event()

    def calar(conn: socket.socket) -> None:
        conn.sendall(b"metade")
        assert terminou.wait(PRAZO)

    cliente = rodar_cliente("oi", "--tempo-limite", "0.6", porta=parceiro(calar))
    terminou.set()
    assert erro_do_cliente(cliente, b"metade") == f"{A_CONVERSA_FALHOU}tempo limite esgotado"


def test_uma_porta_em_que_ninguem_escuta_diz_o_que_conferir_e_fecha_o_socket(porta_sem_ninguem):
    """No modo de desenvolvimento, um socket esquecido aberto escreveria uma linha a mais."""
    assert erro_do_cliente(rodar_cliente("oi", porta=porta_sem_ninguem)) == (
        f"{A_CONVERSA_FALHOU}não foi possível conectar à porta {porta_sem_ninguem}: "
        f"127.0.0.1: erro {errno.ECONNREFUSED}, {RECUSA}"
    )


@linux
@precisa_de("strace")
@pytest.mark.parametrize(
    ("erro", "motivo"),
    [
        ("ENETUNREACH", "não há caminho até essa rede (confira o endereço e a conexão)"),
        ("EHOSTUNREACH", "não há caminho até essa máquina (confira o endereço e a conexão)"),
        ("EADDRNOTAVAIL", "ninguém se conecta a esse endereço (use o da máquina do servidor)"),
        ("EINVAL", "endereço incompleto (um fe80:: pede a interface, como em fe80::1%eth0)"),
        ("ENOBUFS", "ENOBUFS"),
    ],
)
def test_cada_motivo_de_nao_conectar_tem_o_seu_numero_e_a_sua_dica(erro, motivo):
    strace = (*STRACE, "-e", "trace=connect", "-e", f"inject=connect:error={erro}")
    assert erro_do_cliente(rodar_cliente("oi", porta=7007, inicio=strace)) == (
        f"{A_CONVERSA_FALHOU}não foi possível conectar à porta 7007: "
        f"127.0.0.1: erro {getattr(errno, erro)}, {motivo}"
    )


@linux
def test_uma_conexao_que_nao_se_completa_termina_no_limite():
    inicio = time.monotonic()
    with contextlib.ExitStack() as pilha:
        serv_socket = pilha.enter_context(socket.socket())
        serv_socket.bind(("127.0.0.1", 0))
        serv_socket.listen(0)
        porta = serv_socket.getsockname()[1]
        for _ in range(3):  # mais do que cabe na fila
            ocupante = pilha.enter_context(socket.socket())
            ocupante.setblocking(False)
            ocupante.connect_ex(("127.0.0.1", porta))
        cliente = rodar_cliente("oi", "--tempo-limite", "0.2", porta=porta)
    assert erro_do_cliente(cliente) == (
        f"{A_CONVERSA_FALHOU}não foi possível conectar à porta {porta}: 127.0.0.1: erro 11, "
        "tempo limite esgotado (confira o endereço ou aumente --tempo-limite)"
    )
    assert 0.2 < time.monotonic() - inicio < 0.2 + FOLGA


@linux
def test_um_disco_que_enche_no_meio_da_resposta_e_um_erro_de_uma_linha(parceiro, tmp_path):
    def responder(conn: socket.socket) -> None:
        conn.recv(TAMANHO_DO_BLOCO)
        conn.sendall(b"x" * 2048)

    destino = tmp_path / "resposta"
    with destino.open("wb") as saida:
        como = {"stdout": saida, "preexec_fn": limitar_o_arquivo_a(1500)}
        cliente = rodar_cliente("oi", porta=parceiro(responder), **como)
    assert erro_do_cliente(cliente) == A_CONVERSA_FALHOU + do_sistema(errno.EFBIG)
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
