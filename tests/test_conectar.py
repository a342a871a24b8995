"""O cliente tenta cada endereço de um nome, e conta por que cada um falhou."""

import contextlib
import errno
import socket
import subprocess
import time

import pytest
from conftest import (
    FOLGA,
    PYTHON,
    SERVIDOR,
    erro_do_cliente,
    linux,
    pode_rodar,
    precisa_de,
    precisa_de_ipv6,
    rodar,
    rodar_cliente,
    uma_linha_de_erro,
)

RECUSADA = "conexão recusada (o servidor está escutando nesse endereço?)"
ESGOTADO = "tempo limite esgotado (confira o endereço, o firewall e --tempo-limite)"
OUTRO_MOTIVO = "confira o endereço, o firewall e a VPN"


@pytest.fixture(scope="module")
def nos_dois_enderecos(tmp_path_factory) -> tuple[str, ...]:
    """O começo de um comando para o qual localhost é ::1 e, depois, 127.0.0.1."""
    with contextlib.suppress(socket.gaierror):
        enderecos = socket.getaddrinfo("localhost", 1, type=socket.SOCK_STREAM)
        if [item[0] for item in enderecos] == [socket.AF_INET6, socket.AF_INET]:
            return ()
    # Um espaço de nomes do Linux põe este arquivo no lugar do hosts, só para esse comando.
    hosts = tmp_path_factory.mktemp("nomes") / "hosts"
    hosts.write_text("127.0.0.1 localhost\n::1 localhost\n")
    comando = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
    comando += ('mount --bind "$0" /etc/hosts && exec "$@"', str(hosts))
    if not pode_rodar(*comando):
        pytest.skip("localhost não tem os dois endereços, e não há como dá-los a ele aqui")
    return comando


def conversar_com_localhost(inicio: tuple[str, ...], porta: int) -> subprocess.CompletedProcess:
    return rodar_cliente("--host", "localhost", "oi", porta=porta, inicio=inicio)


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=precisa_de_ipv6)])
def test_localhost_alcanca_um_servidor_que_so_escuta_em_um_dos_enderecos(
    abrir_servidor, nos_dois_enderecos, host
):
    servidor = abrir_servidor("--host", host)
    cliente = conversar_com_localhost(nos_dois_enderecos, servidor.porta)
    assert (cliente.returncode, cliente.stdout, cliente.stderr) == (0, b"oi", b"")


@precisa_de_ipv6
def test_o_servidor_fica_com_o_primeiro_endereco_do_nome(abrir_servidor, nos_dois_enderecos):
    comando = (*nos_dois_enderecos, *PYTHON, SERVIDOR)
    assert abrir_servidor("--host", "localhost", comando=comando).host == "::1"


@linux
@precisa_de("strace")
@precisa_de_ipv6
def test_um_sistema_que_nao_cria_o_socket_de_um_endereco_tenta_os_outros(
    tmp_path, nos_dois_enderecos, porta_sem_ninguem
):
    """É o de um núcleo sem IPv6. O strace conta os sockets, e nega ao cliente o do ::1."""

    def com_strace(*opcoes: str) -> subprocess.CompletedProcess:
        strace = ("strace", "-qq", "-o", tmp_path / "chamadas", "-e", "trace=socket", *opcoes)
        return conversar_com_localhost((*nos_dois_enderecos, *strace), porta_sem_ninguem)

    com_strace()
    chamadas = (tmp_path / "chamadas").read_text().splitlines()
    vez = next(n for n, linha in enumerate(chamadas, 1) if "AF_INET6, SOCK_STREAM" in linha)
    cliente = com_strace("-e", f"inject=socket:error=EAFNOSUPPORT:when={vez}")
    assert erro_do_cliente(cliente).endswith(
        f": ::1: erro 97, {OUTRO_MOTIVO}; 127.0.0.1: erro 111, {RECUSADA}"
    )


@linux
@pytest.mark.parametrize(
    ("erro", "motivo"),
    [
        ("ECONNREFUSED", RECUSADA),
        ("EADDRNOTAVAIL", "não se chega daqui a esse endereço (use o da máquina do servidor)"),
        ("EHOSTUNREACH", OUTRO_MOTIVO),
        ("ETIMEDOUT", OUTRO_MOTIVO),
    ],
)
def test_cada_motivo_de_nao_conectar_tem_o_seu_numero_e_diz_o_que_conferir(strace, erro, motivo):
    cliente = rodar_cliente("oi", porta=7007, inicio=strace(f"connect:error={erro}"))
    assert erro_do_cliente(cliente) == (
        "não foi possível conectar à porta 7007: "
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
        f"não foi possível conectar à porta {porta}: 127.0.0.1: erro 11, {ESGOTADO}"
    )
    assert 0.2 < time.monotonic() - inicio < 0.2 + FOLGA


@pytest.mark.parametrize("host", ["a..b", " 127.0.0.1", "é" * 70])
def test_um_host_que_nao_existe_aparece_entre_aspas_no_erro_dos_dois_scripts(host):
    servidor = rodar(*PYTHON, SERVIDOR, "--host", host)
    erro = f"não foi possível encontrar o host {host!r} (confira --host): "
    assert uma_linha_de_erro(servidor.stderr, SERVIDOR).startswith(erro)
    assert (servidor.returncode, servidor.stdout) == (1, b"")
    cliente = rodar_cliente("oi", "--host", host, porta=7007)
    assert f": a conversa com {host!r} falhou: " in cliente.stderr.decode()
    assert erro_do_cliente(cliente)


def test_um_host_fora_do_ascii_e_procurado_pela_forma_internacional(servidor):
    """O IDNA (RFC 3490 § 4) faz dos algarismos largos os comuns."""
    host = "\uff11\uff12\uff17.0.0.1"
    assert rodar_cliente("oi", "--host", host, porta=servidor.porta).stdout == b"oi"
