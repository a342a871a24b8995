"""A resposta sai inteira e sem mudança, e o que falta é contado no stderr e no status."""

import contextlib
import errno
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
    do_sistema,
    erro_do_cliente,
    limitar_o_arquivo_a,
    linux,
    precisa_de,
    receber_tudo,
    resetar,
    rodar,
    rodar_cliente,
)

RECUSA = "conexão recusada (o servidor está escutando nesse endereço?)"


def a_conversa_falhou(porta: int) -> str:
    return f"a conversa com '127.0.0.1' na porta {porta} falhou: "


def test_a_saida_e_a_resposta_como_veio_ate_o_fim_do_fluxo(parceiro):
    resposta = bytes(range(256)) * 5000

    def responder(conn: socket.socket) -> None:
        assert receber_tudo(conn) == b"oi"
        conn.sendall(resposta)

    cliente = rodar_cliente("oi", porta=parceiro(responder))
    assert (cliente.returncode, cliente.stdout, cliente.stderr) == (0, resposta, b"")


def test_cada_pedaco_aparece_na_saida_assim_que_chega(abrir_cliente, ouvinte):
    """O parceiro só continua depois que o primeiro pedaço foi visto."""
    cliente = abrir_cliente(ouvinte.getsockname()[1], "oi")
    conn, _ = ouvinte.accept()
    with conn:
        assert receber_tudo(conn) == b"oi"
        for parte in ("parte um", "parte dois"):
            conn.sendall(f"{parte}\n".encode())
            assert cliente.linha() == parte
    assert cliente.wait() == 0


@pytest.mark.parametrize("resposta", [b"", b"o"])
def test_uma_resposta_menor_que_a_mensagem_e_um_erro_com_os_dois_numeros(parceiro, resposta):
    def responder_pouco(conn: socket.socket) -> None:
        receber_tudo(conn)
        conn.sendall(resposta)

    porta = parceiro(responder_pouco)
    cliente = rodar_cliente("oito byt", porta=porta)
    assert erro_do_cliente(cliente, resposta) == (
        f"{a_conversa_falhou(porta)}a resposta tem {len(resposta)} dos 8 bytes enviados"
    )


@linux
@pytest.mark.parametrize("resposta", [b"", b"metade"])
def test_um_reset_e_um_erro_e_o_que_chegou_antes_e_impresso(parceiro, resposta):
    def responder_e_resetar(conn: socket.socket) -> None:
        receber_tudo(conn)
        conn.sendall(resposta)
        resetar(conn)

    porta = parceiro(responder_e_resetar)
    cliente = rodar_cliente("oi", porta=porta)
    assert erro_do_cliente(cliente, resposta) == (
        a_conversa_falhou(porta) + do_sistema(errno.ECONNRESET)
    )


def fechar_e_mais_nada(conn: socket.socket) -> None:
    conn.close()


def encerrar_e_resetar(conn: socket.socket) -> None:
    conn.shutdown(socket.SHUT_WR)
    resetar(conn)


@linux
@precisa_de("strace")
@pytest.mark.parametrize("encerrar", [fechar_e_mais_nada, resetar, encerrar_e_resetar])
def test_o_que_diz_um_servidor_que_encerra_sem_ler_nada_aparece_antes_do_erro(parceiro, encerrar):
    """O strace atrasa o cliente: o fim, ou o reset, chega antes que ele envie."""

    def despedir_se(conn: socket.socket) -> None:
        conn.sendall(b"220 adeus\r\n")
        encerrar(conn)

    strace = (*STRACE, "-e", "trace=connect", "-e", "inject=connect:delay_exit=300000")
    porta = parceiro(despedir_se)
    erro = erro_do_cliente(rodar_cliente("oi", porta=porta, inicio=strace), b"220 adeus\r\n")
    assert erro == f"{a_conversa_falhou(porta)}o servidor encerrou antes do fim do envio"


@pytest.mark.parametrize("parte", [b"", b"metade"])
def test_o_limite_vale_tambem_no_meio_e_o_que_chegou_e_impresso(parceiro, parte):
    terminou = threading.Event()

    def calar(conn: socket.socket) -> None:
        conn.sendall(parte)
        assert terminou.wait(PRAZO)

    porta = parceiro(calar)
    cliente = rodar_cliente("oi", "--tempo-limite", "0.4", porta=porta)
    terminou.set()
    erro = erro_do_cliente(cliente, parte)
    assert erro == f"{a_conversa_falhou(porta)}tempo limite esgotado"


def test_uma_porta_em_que_ninguem_escuta_diz_o_que_conferir_e_fecha_o_socket(porta_sem_ninguem):
    """No modo de desenvolvimento, um socket esquecido aberto escreveria uma linha a mais."""
    assert erro_do_cliente(rodar_cliente("oi", porta=porta_sem_ninguem)) == (
        f"não foi possível conectar à porta {porta_sem_ninguem}: "
        f"127.0.0.1: erro {errno.ECONNREFUSED}, {RECUSA}"
    )


@linux
@precisa_de("strace")
@pytest.mark.parametrize(
    ("erro", "motivo"),
    [
        ("ETIMEDOUT", "erro 110, o sistema desistiu de esperar "),
        ("ENETUNREACH", "erro 101, não há caminho até essa rede "),
        ("EHOSTUNREACH", "erro 113, não há caminho até essa máquina "),
        ("EADDRNOTAVAIL", "erro 99, ninguém se conecta a esse endereço "),
        ("ENOBUFS", "erro 105, ENOBUFS"),
    ],
)
def test_cada_motivo_de_nao_conectar_tem_o_seu_numero(erro, motivo):
    strace = (*STRACE, "-e", "trace=connect", "-e", f"inject=connect:error={erro}")
    cliente = rodar_cliente("oi", porta=7007, inicio=strace)
    comeco = "não foi possível conectar à porta 7007: 127.0.0.1: "
    assert erro_do_cliente(cliente).startswith(comeco + motivo)


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
        f"não foi possível conectar à porta {porta}: 127.0.0.1: erro 11, tempo limite esgotado "
        "(confira o endereço ou aumente --tempo-limite)"
    )
    assert 0.2 < time.monotonic() - inicio < 0.2 + FOLGA


@linux
@pytest.mark.parametrize(
    ("limite", "escrito", "falha"), [(None, b"", errno.ENOSPC), (1500, b"x" * 1500, errno.EFBIG)]
)
def test_um_disco_que_enche_e_um_erro_de_uma_linha(parceiro, tmp_path, limite, escrito, falha):
    """Cheio desde o começo (/dev/full), ou no meio da resposta, com um limite de tamanho."""

    def responder(conn: socket.socket) -> None:
        receber_tudo(conn)
        conn.sendall(b"x" * 2048)

    destino = tmp_path / "resposta" if limite else "/dev/full"
    with open(destino, "wb") as saida:
        comando = (*PYTHON, CLIENTE, "--porta", str(parceiro(responder)), "oi")
        preexec_fn = limitar_o_arquivo_a(limite) if limite else None
        cliente = rodar(*comando, stdout=saida, preexec_fn=preexec_fn)
    assert erro_do_cliente(cliente) == f"a escrita na saída padrão falhou: {do_sistema(falha)}"
    assert not limite or destino.read_bytes() == escrito
