"""Um nome pode ter vários endereços: o cliente tenta cada um, e conta todos os que falharam."""

import contextlib
import socket
import subprocess

import pytest
from conftest import (
    PYTHON,
    SERVIDOR,
    Servidor,
    erro_do_cliente,
    linux,
    precisa_de,
    precisa_de_ipv6,
    rodar,
    rodar_cliente,
    tem,
    uma_linha_de_erro,
)

RECUSA = "erro 111, conexão recusada (o servidor está escutando nesse endereço?)"


@pytest.fixture(scope="module")
def nos_dois_enderecos(tmp_path_factory) -> tuple[str, ...]:
    """O começo de um comando para o qual localhost é ::1 e, depois, 127.0.0.1.

    Muitos sistemas já são assim. Nos outros, um espaço de nomes do Linux põe um arquivo hosts
    com os dois no lugar do verdadeiro, só para esse comando.
    """
    with contextlib.suppress(socket.gaierror):
        enderecos = socket.getaddrinfo("localhost", 1, type=socket.SOCK_STREAM)
        if [item[0] for item in enderecos] == [socket.AF_INET6, socket.AF_INET]:
            return ()
    hosts = tmp_path_factory.mktemp("nomes") / "hosts"
    hosts.write_text("127.0.0.1 localhost\n::1 localhost\n")
    comando = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
    comando += ('mount --bind "$0" /etc/hosts && exec "$@"', str(hosts))
    if not tem("unshare") or rodar(*comando, "true").returncode:
        pytest.skip("localhost não tem os dois endereços, e não há como dá-los a ele aqui")
    return comando


def conversar_com_localhost(inicio: tuple[str, ...], porta: int) -> subprocess.CompletedProcess:
    return rodar_cliente("--host", "localhost", "oi", porta=porta, inicio=inicio)


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=precisa_de_ipv6)])
def test_localhost_alcanca_um_servidor_que_so_escuta_em_um_dos_enderecos(
    abrir, nos_dois_enderecos, host
):
    servidor = abrir(Servidor, "--host", host)
    cliente = conversar_com_localhost(nos_dois_enderecos, servidor.porta)
    assert (cliente.returncode, cliente.stdout, cliente.stderr) == (0, b"oi", b"")


@precisa_de_ipv6
def test_o_servidor_escuta_no_primeiro_endereco_do_nome(abrir, nos_dois_enderecos):
    comando = (*nos_dois_enderecos, *PYTHON, SERVIDOR)
    assert abrir(Servidor, "--host", "localhost", comando=comando).host == "::1"


@linux
@precisa_de_ipv6
def test_quando_todos_recusam_o_erro_nomeia_cada_endereco(nos_dois_enderecos, porta_sem_ninguem):
    cliente = conversar_com_localhost(nos_dois_enderecos, porta_sem_ninguem)
    assert erro_do_cliente(cliente) == (
        f"não foi possível conectar à porta {porta_sem_ninguem}: ::1: {RECUSA}; 127.0.0.1: {RECUSA}"
    )


@linux
@precisa_de("strace")
@precisa_de_ipv6
def test_uma_familia_que_o_sistema_nao_tem_nao_impede_as_outras_e_aparece_no_erro(
    abrir, nos_dois_enderecos, tmp_path, porta_sem_ninguem
):
    """Um núcleo sem IPv6 recusa a criação do socket: aqui, o strace recusa essa chamada."""
    servidor = abrir(Servidor, "-k")
    rastro = tmp_path / "rastro"
    strace = (*nos_dois_enderecos, "strace", "-D", "-qq", "-o", str(rastro), "-e", "trace=socket")
    assert conversar_com_localhost(strace, servidor.porta).stdout == b"oi"
    # O resolvedor também cria sockets: procura-se a vez do que é do cliente.
    chamadas = rastro.read_text().splitlines()
    vez = 1 + next(i for i, linha in enumerate(chamadas) if "AF_INET6, SOCK_STREAM" in linha)
    strace += ("-e", f"inject=socket:error=EAFNOSUPPORT:when={vez}")
    cliente = conversar_com_localhost(strace, servidor.porta)
    assert (cliente.returncode, cliente.stdout, cliente.stderr) == (0, b"oi", b"")
    assert erro_do_cliente(conversar_com_localhost(strace, porta_sem_ninguem)) == (
        f"não foi possível conectar à porta {porta_sem_ninguem}: "
        f"::1: erro 97, EAFNOSUPPORT; 127.0.0.1: {RECUSA}"
    )


@linux
@precisa_de_ipv6
def test_o_escopo_de_um_endereco_ipv6_aparece_no_anuncio(abrir, rede_propria):
    if not rede_propria:
        pytest.skip("não há como criar uma rede à parte (com unshare e ip)")
    com_endereco = 'ip -6 addr add fe80::1/64 dev lo nodad && exec "$@"'
    comando = (*rede_propria, "sh", "-c", com_endereco, "sh", *PYTHON, SERVIDOR)
    servidor = abrir(Servidor, "--host", "fe80::1%lo", comando=comando)
    assert servidor.host == "fe80::1%lo"


@pytest.mark.parametrize("host", ["a..b", "é" * 70, "nó\nde\x1bteste"])
def test_um_host_que_nao_existe_e_um_erro_de_uma_linha_nos_dois_scripts(host):
    comeco = f"não foi possível encontrar o host {host!r} (confira --host): "
    assert erro_do_cliente(rodar_cliente("oi", "--host", host, porta=7007)).startswith(comeco)
    servidor = rodar(*PYTHON, SERVIDOR, "--host", host)
    assert uma_linha_de_erro(servidor.stderr, SERVIDOR).startswith(comeco)
    assert (servidor.returncode, servidor.stdout) == (1, b"")


def test_um_host_fora_do_ascii_e_procurado_pela_forma_internacional(servidor):
    """O IDNA (RFC 3490 § 4) faz dos algarismos largos os comuns."""
    host = "\uff11\uff12\uff17.0.0.1"
    assert rodar_cliente("oi", "--host", host, porta=servidor.porta).stdout == b"oi"
