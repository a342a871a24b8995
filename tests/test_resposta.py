"""A resposta sai inteira e sem mudança, e o que falta é contado no stderr e no status."""

import errno
import importlib.util
import os
import resource
import select
import socket
import subprocess
import sys
import threading

import pytest
from conftest import (
    CLIENTE,
    PRAZO,
    Processo,
    do_sistema,
    linux,
    receber_tudo,
    resetar,
    rodar_cliente,
    uma_linha_de_erro,
)


def erro_do(cliente: subprocess.CompletedProcess[bytes]) -> str:
    assert cliente.returncode == 1
    return uma_linha_de_erro(cliente.stderr, "cliente_socket.py")


def test_a_saida_e_a_resposta_byte_por_byte_ate_o_fim_do_fluxo(parceiro):
    resposta = bytes(range(256)) * 5000

    def responder(conn: socket.socket) -> None:
        assert receber_tudo(conn) == b"oi"
        conn.sendall(resposta)

    cliente = rodar_cliente("oi", porta=parceiro(responder))
    assert (cliente.returncode, cliente.stdout, cliente.stderr) == (0, resposta, b"")


def test_o_cliente_envia_o_fim_da_mensagem_antes_de_ler(parceiro):
    """Um eco da RFC 862 lê até o fim: sem ele, os dois esperariam um pelo outro."""

    def eco_ate_o_fim(conn: socket.socket) -> None:
        conn.sendall(receber_tudo(conn))

    cliente = rodar_cliente("até o fim", porta=parceiro(eco_ate_o_fim))
    assert (cliente.returncode, cliente.stdout) == (0, "até o fim".encode())


def test_uma_resposta_em_pedacos_e_uma_resposta_so(parceiro):
    def responder_aos_poucos(conn: socket.socket) -> None:
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in receber_tudo(conn):
            conn.sendall(bytes([byte]))

    cliente = rodar_cliente("pedaços", porta=parceiro(responder_aos_poucos))
    assert (cliente.returncode, cliente.stdout) == (0, "pedaços".encode())


def test_cada_pedaco_aparece_na_saida_assim_que_chega(abrir, parceiro):
    """O parceiro só continua depois que o primeiro pedaço foi visto."""
    visto = socket.socketpair()

    def responder(conn: socket.socket) -> None:
        receber_tudo(conn)
        conn.sendall(b"parte um\n")
        visto[1].recv(1)
        conn.sendall(b"parte dois\n")

    comando = [sys.executable, str(CLIENTE), "--porta", str(parceiro(responder)), "oi"]
    cliente = abrir(Processo, comando)
    with visto[0], visto[1]:
        assert cliente.linha() == "parte um"
        visto[0].sendall(b"!")
        assert cliente.linha() == "parte dois"
        assert cliente.status() == 0


@pytest.mark.parametrize("resposta", [b"", b"o"])
def test_uma_resposta_menor_que_a_mensagem_e_um_erro_com_os_dois_numeros(parceiro, resposta):
    def responder_pouco(conn: socket.socket) -> None:
        receber_tudo(conn)
        conn.sendall(resposta)

    porta = parceiro(responder_pouco)
    cliente = rodar_cliente("oito byt", porta=porta)
    assert cliente.stdout == resposta
    assert erro_do(cliente) == (
        f"a conversa com 127.0.0.1:{porta} falhou: "
        f"a resposta tem {len(resposta)} dos 8 bytes da mensagem"
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
    assert cliente.stdout == resposta
    assert erro_do(cliente) == (
        f"a conversa com 127.0.0.1:{porta} falhou: {do_sistema(errno.ECONNRESET)}"
    )


@linux
def test_o_que_chegou_antes_de_o_envio_falhar_e_impresso(parceiro, capfdbinary):
    """A falha tem hora certa: o cliente só envia depois que o reset já chegou."""
    modulo = importlib.util.spec_from_file_location("cliente_socket", CLIENTE)
    cliente_socket = importlib.util.module_from_spec(modulo)
    modulo.loader.exec_module(cliente_socket)

    conectado = threading.Event()

    def despedir_e_resetar(conn: socket.socket) -> None:
        assert conectado.wait(PRAZO)
        conn.sendall(b"adeus")
        resetar(conn)

    client_socket = cliente_socket.conectar("127.0.0.1", parceiro(despedir_e_resetar), PRAZO)
    conectado.set()
    esperar_o_reset(client_socket)
    with pytest.raises(ConnectionError):
        cliente_socket.conversar(client_socket, b"oi")
    assert capfdbinary.readouterr().out == b"adeus"


def esperar_o_reset(client_socket: socket.socket) -> None:
    vigia = select.poll()
    vigia.register(client_socket, 0)  # sem pedir nada, só erro e fim acordam
    assert vigia.poll(PRAZO * 1000)


@pytest.mark.parametrize("parte", [b"", b"metade"])
def test_o_limite_vale_para_cada_pedaco_e_o_que_chegou_e_impresso(abrir, parceiro, parte):
    terminou = socket.socketpair()

    def calar(conn: socket.socket) -> None:
        conn.sendall(parte)
        terminou[1].recv(1)

    porta = parceiro(calar)
    with terminou[0], terminou[1]:
        cliente = rodar_cliente("oi", "--tempo-limite", "0.5", porta=porta)
        terminou[0].sendall(b"!")
    assert cliente.stdout == parte
    assert erro_do(cliente) == (
        f"a conversa com 127.0.0.1:{porta} falhou: tempo limite esgotado (timed out)"
    )


@pytest.mark.parametrize("limite", ["1e300", "4294967.296"])
def test_um_limite_maior_do_que_o_sistema_sabe_contar_nao_expira_na_hora(servidor, limite):
    cliente = rodar_cliente("oi", "--tempo-limite", limite, porta=servidor.porta)
    assert (cliente.returncode, cliente.stdout, cliente.stderr) == (0, b"oi", b"")


def test_uma_porta_em_que_ninguem_escuta_diz_o_que_conferir(porta_sem_ninguem):
    assert erro_do(rodar_cliente("oi", porta=porta_sem_ninguem)) == (
        f"não foi possível conectar a 127.0.0.1:{porta_sem_ninguem}: Connection refused "
        "(o servidor está escutando nesse endereço?)"
    )


@linux
def test_uma_conexao_que_nao_se_completa_termina_no_limite(cronometro):
    with socket.socket() as serv_socket, socket.socket() as ocupante:
        serv_socket.bind(("127.0.0.1", 0))
        serv_socket.listen(0)
        ocupante.connect(serv_socket.getsockname())  # a fila de zero guarda só esta
        porta = serv_socket.getsockname()[1]
        cliente = rodar_cliente("oi", "--tempo-limite", "0.5", porta=porta)
    assert erro_do(cliente).startswith(
        f"não foi possível conectar a 127.0.0.1:{porta}: Connection timed out "
        "(tempo limite esgotado: "
    )
    assert 0.5 < cronometro() < 5


@pytest.mark.parametrize("host", ["nao-existe.invalid", "", "a..b", "x" * 70, "nó\nde\x1bteste"])
def test_um_host_que_nao_existe_e_um_erro_de_uma_linha(host):
    erro = erro_do(rodar_cliente("oi", "--host", host, porta=7007))
    assert erro.startswith(f"não foi possível encontrar o host {host!r} (confira --host): ")


def test_um_host_com_acentos_chega_ao_dns_como_nome_internacional():
    erro = erro_do(rodar_cliente("oi", "--host", "ação.invalid", porta=7007))
    assert erro.startswith("não foi possível encontrar o host 'ação.invalid' (confira --host): ")
    assert "codec" not in erro  # quem não o achou foi o DNS


@linux
def test_uma_saida_cheia_e_um_erro_de_uma_linha(servidor, com_e_sem_buffer):
    with open("/dev/full", "wb") as cheia:
        cliente = rodar_cliente(
            "oi", porta=servidor.porta, capture_output=False, stdout=cheia, stderr=subprocess.PIPE
        )
    assert erro_do(cliente) == (
        f"não foi possível escrever na saída padrão: {do_sistema(errno.ENOSPC)}"
    )


@linux
def test_um_disco_que_enche_no_meio_e_um_erro(parceiro, com_e_sem_buffer, tmp_path):
    """O limite de tamanho de arquivo faz a escrita parar no byte 1500, como um disco cheio."""

    def responder(conn: socket.socket) -> None:
        receber_tudo(conn)
        conn.sendall(b"x" * 2048)

    destino = tmp_path / "resposta"
    with destino.open("wb") as arquivo:
        cliente = rodar_cliente(
            "oi",
            porta=parceiro(responder),
            capture_output=False,
            stdout=arquivo,
            stderr=subprocess.PIPE,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500)),
        )
    assert erro_do(cliente) == (
        f"não foi possível escrever na saída padrão: {do_sistema(errno.EFBIG)}"
    )
    assert destino.read_bytes() == b"x" * 1500


def test_um_cano_fechado_adiante_e_um_erro_de_uma_linha(servidor, com_e_sem_buffer):
    leitura, escrita = os.pipe()
    os.close(leitura)
    with os.fdopen(escrita, "wb") as cano:
        cliente = rodar_cliente(
            "oi", porta=servidor.porta, capture_output=False, stdout=cano, stderr=subprocess.PIPE
        )
    assert erro_do(cliente) == (
        f"não foi possível escrever na saída padrão: {do_sistema(errno.EPIPE)}"
    )


def test_uma_saida_fechada_e_notada_antes_de_conectar():
    """Com o descritor 1 fechado, o socket o herdaria, e a resposta voltaria ao servidor."""
    with socket.create_server(("127.0.0.1", 0)) as serv_socket:
        comando = f'exec "$0" "$1" --porta {serv_socket.getsockname()[1]} oi >&-'
        cliente = subprocess.run(
            ["sh", "-c", comando, sys.executable, CLIENTE],
            stderr=subprocess.PIPE,
            timeout=PRAZO,
        )
        assert erro_do(cliente) == f"não há saída padrão: {do_sistema(errno.EBADF)}"
        serv_socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            serv_socket.accept()
