"""A resposta sai inteira e sem mudança, e o que falta é contado no stderr e no status."""

import errno
import os
import re
import select
import socket
import threading

import pytest
from conftest import (
    CLIENTE,
    FOLGA,
    PRAZO,
    PYTHON,
    RAIZ,
    do_sistema,
    erro_do_cliente,
    limitar_o_arquivo_a,
    linux,
    ninguem_bateu,
    precisa_de,
    receber_tudo,
    resetar,
    rodar,
    rodar_cliente,
)


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
    assert cliente.status() == 0


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


@linux
@pytest.mark.parametrize(
    ("encerrar", "adeus"),
    [(resetar, b""), (resetar, b"220 adeus\r\n"), (socket.socket.close, b"x")],
)
def test_um_servidor_que_encerra_sem_ler_nada_e_um_erro_claro(ouvinte, encerrar, adeus):
    """A falha tem hora certa: o cliente recebe pronto um socket a que o fim já chegou."""
    with socket.create_connection(ouvinte.getsockname()) as client_socket:
        conn, _ = ouvinte.accept()
        conn.sendall(adeus)
        encerrar(conn)
        vigia = select.poll()
        vigia.register(client_socket, select.POLLRDHUP)
        assert vigia.poll(PRAZO * 1000)
        conversa = (
            "import cliente_socket, socket\n"
            f"conectado = socket.socket(fileno={client_socket.fileno()})\n"
            "cliente_socket.conectar = lambda *_: conectado\n"
            "cliente_socket.conversar('127.0.0.1', 7007, 10, b'oi')"
        )
        cliente = rodar(*PYTHON, "-c", conversa, cwd=RAIZ, pass_fds=[client_socket.fileno()])
    assert (cliente.returncode, cliente.stdout) == (1, adeus)
    falhas = ("o servidor encerrou antes do fim do envio", "a resposta tem 1 dos 2 bytes enviados")
    assert cliente.stderr.decode().endswith(tuple(f"{falha}\n" for falha in falhas))
    assert cliente.stderr.count(b"\n") == 1


@linux
@precisa_de("strace")
@pytest.mark.parametrize("antes_do_reset", [[], [socket.SHUT_WR]])
def test_um_reset_logo_depois_do_accept_nao_apaga_o_que_veio_antes(parceiro, antes_do_reset):
    """O strace atrasa o cliente até que o reset chegue: o connect_ex devolve esse erro."""

    def despedir_se(conn: socket.socket) -> None:
        conn.sendall(b"220 adeus\r\n")
        for direcao in antes_do_reset:
            conn.shutdown(direcao)
        resetar(conn)

    strace = ("strace", "-qq", "-o", "/dev/null", "-e", "trace=connect")
    strace += ("-e", "inject=connect:delay_exit=200000")
    cliente = rodar_cliente("oi", porta=parceiro(despedir_se), inicio=strace)
    erro_do_cliente(cliente, b"220 adeus\r\n")


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


@linux
@precisa_de("strace")
def test_o_limite_e_o_mesmo_para_cada_pedaco(abrir_cliente, ouvinte, tmp_path):
    """O strace mostra quanto o cliente pede ao sistema que espere, em milissegundos."""
    strace = ("strace", "-o", tmp_path / "rastro", "-e", "trace=poll")
    porta = str(ouvinte.getsockname()[1])
    cliente = abrir_cliente(porta, "--tempo-limite", "9", "oi", inicio=strace)
    conn, _ = ouvinte.accept()
    with conn:
        assert receber_tudo(conn) == b"oi"
        for parte in ("um", "dois"):
            select.select([], [], [], 0.05)
            conn.sendall(f"{parte}\n".encode())
            assert cliente.linha() == parte
    assert cliente.status() == 0
    esperas = re.findall(r"POLLIN.*\}\], 1, (\d+)\)", (tmp_path / "rastro").read_text())
    assert esperas == ["9000"] * 3


def test_uma_porta_em_que_ninguem_escuta_diz_o_que_conferir(porta_sem_ninguem):
    assert erro_do_cliente(rodar_cliente("oi", porta=porta_sem_ninguem)) == (
        f"não foi possível conectar à porta {porta_sem_ninguem}: 127.0.0.1: Connection refused "
        "(o servidor está escutando nesse endereço?)"
    )


def test_um_socket_que_nao_se_conectou_e_fechado(porta_sem_ninguem):
    """Quem termina com um erro fecha o stderr, e o aviso não se veria: aqui, ele fica aberto."""
    tentativas = (
        "import cliente_socket, socket\n"
        f"addr = ('127.0.0.1', {porta_sem_ninguem})\n"
        "enderecos = [(socket.AF_INET, socket.SOCK_STREAM, 0, '', addr)] * 2\n"
        "try: cliente_socket.conectar(enderecos, 10)\n"
        "except OSError: print('recusa')"
    )
    processo = rodar(*PYTHON, "-c", tentativas, cwd=RAIZ)
    assert (processo.stdout, processo.stderr) == (b"recusa\n", b"")


@linux
def test_uma_conexao_que_nao_se_completa_termina_no_limite(cronometro):
    with socket.socket() as serv_socket, socket.socket() as ocupante:
        serv_socket.bind(("127.0.0.1", 0))
        serv_socket.listen(0)
        ocupante.connect(serv_socket.getsockname())  # a fila de zero guarda só esta
        porta = serv_socket.getsockname()[1]
        cliente = rodar_cliente("oi", "--tempo-limite", "0.2", porta=porta)
    assert erro_do_cliente(cliente) == (
        f"não foi possível conectar à porta {porta}: 127.0.0.1: tempo limite esgotado "
        "(confira o endereço ou aumente --tempo-limite)"
    )
    assert 0.2 < cronometro() < 0.2 + FOLGA


@linux
@pytest.mark.parametrize("sem_buffer", [[], ["-u"]])
@pytest.mark.parametrize(
    ("limite", "escrito", "falha"), [(None, b"", errno.ENOSPC), (1500, b"x" * 1500, errno.EFBIG)]
)
def test_um_disco_que_enche_e_um_erro_de_uma_linha(
    parceiro, tmp_path, sem_buffer, limite, escrito, falha
):
    """Cheio desde o começo (/dev/full), ou no meio da resposta, com um limite de tamanho."""

    def responder(conn: socket.socket) -> None:
        receber_tudo(conn)
        conn.sendall(b"x" * 2048)

    destino = tmp_path / "resposta" if limite else "/dev/full"
    with open(destino, "wb") as saida:
        comando = (*PYTHON, *sem_buffer, CLIENTE, "--porta", str(parceiro(responder)), "oi")
        preexec_fn = limitar_o_arquivo_a(limite) if limite else None
        cliente = rodar(*comando, stdout=saida, preexec_fn=preexec_fn)
    assert erro_do_cliente(cliente) == f"a escrita na saída padrão falhou: {do_sistema(falha)}"
    assert not limite or destino.read_bytes() == escrito


def test_um_cano_fechado_adiante_e_um_erro_de_uma_linha(servidor):
    leitura, escrita = os.pipe()
    os.close(leitura)
    with os.fdopen(escrita, "wb") as cano:
        cliente = rodar_cliente("oi", porta=servidor.porta, stdout=cano)
    erro = erro_do_cliente(cliente)
    assert erro == f"a escrita na saída padrão falhou: {do_sistema(errno.EPIPE)}"


def test_uma_saida_fechada_e_notada_antes_de_conectar(ouvinte):
    """Com o descritor 1 fechado, o socket o herdaria, e a resposta voltaria ao servidor."""
    comando = ("sh", "-c", 'exec "$@" >&-', "sh", *PYTHON, CLIENTE)
    cliente = rodar(*comando, "--porta", str(ouvinte.getsockname()[1]), "oi")
    erro = erro_do_cliente(cliente)
    assert erro == f"a escrita na saída padrão falhou: {do_sistema(errno.EBADF)}"
    assert ninguem_bateu(ouvinte)
