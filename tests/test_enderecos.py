"""Um nome pode ter vários endereços: o cliente tenta cada um, e conta todos os que falharam."""

import contextlib
import socket
import subprocess

import pytest
from conftest import (
    PYTHON,
    SERVIDOR,
    erro_do_cliente,
    linux,
    pode_rodar,
    precisa_de_ipv6,
    rodar,
    rodar_cliente,
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
@precisa_de_ipv6
def test_quando_todos_recusam_o_erro_nomeia_cada_endereco(nos_dois_enderecos, porta_sem_ninguem):
    cliente = conversar_com_localhost(nos_dois_enderecos, porta_sem_ninguem)
    assert erro_do_cliente(cliente) == (
        f"a conversa falhou: não foi possível conectar à porta {porta_sem_ninguem}: "
        f"::1: {RECUSA}; 127.0.0.1: {RECUSA}"
    )


NAO_HA_HOST = "não foi possível encontrar o host (confira --host): "


@pytest.mark.parametrize("host", ["a..b", "nó\nde\x1bteste"])
def test_um_host_que_nao_existe_e_um_erro_de_uma_linha_nos_dois_scripts(host):
    servidor = rodar(*PYTHON, SERVIDOR, "--host", host)
    assert uma_linha_de_erro(servidor.stderr, SERVIDOR).startswith(NAO_HA_HOST)
    assert (servidor.returncode, servidor.stdout) == (1, b"")
    erro = erro_do_cliente(rodar_cliente("oi", "--host", host, porta=7007))
    assert erro.startswith(NAO_HA_HOST)


def test_um_host_que_nao_se_pode_codificar_e_um_erro_de_uma_linha():
    erro = erro_do_cliente(rodar_cliente("oi", "--host", "é" * 70, porta=7007))
    assert erro.startswith("a conversa falhou: ")


def test_um_host_fora_do_ascii_e_procurado_pela_forma_internacional(servidor):
    """O IDNA (RFC 3490 § 4) faz dos algarismos largos os comuns."""
    host = "\uff11\uff12\uff17.0.0.1"
    assert rodar_cliente("oi", "--host", host, porta=servidor.porta).stdout == b"oi"
