"""Um nome pode ter vários endereços: o cliente tenta cada um, e conta de todos que falharam."""

import shutil
import socket
import subprocess
import sys

import pytest
from conftest import CLIENTE, PRAZO, Servidor, uma_linha_de_erro


def tem_dois_enderecos(nome: str) -> bool:
    familias = [item[0] for item in socket.getaddrinfo(nome, 1, type=socket.SOCK_STREAM)]
    return familias == [socket.AF_INET6, socket.AF_INET]


@pytest.fixture
def nos_dois_enderecos(tmp_path) -> list[str]:
    """O começo de um comando para o qual localhost é ::1 e, depois, 127.0.0.1.

    Muitos sistemas já são assim. Nos outros, um espaço de nomes do Linux põe um arquivo hosts
    com os dois no lugar do verdadeiro, só para esse comando.
    """
    if tem_dois_enderecos("localhost"):
        return []
    if not shutil.which("unshare"):
        pytest.skip("localhost tem um endereço só, e não há unshare para lhe dar dois")
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n::1 localhost\n")
    comando = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    comando += ['mount --bind "$0" /etc/hosts && exec "$@"', str(hosts)]
    if subprocess.run([*comando, "true"], capture_output=True).returncode:
        pytest.skip("localhost tem um endereço só, e o sistema não deixa dar-lhe dois")
    return comando


def conversar_com_localhost(inicio: list[str], porta: int) -> subprocess.CompletedProcess[bytes]:
    comando = [*inicio, sys.executable, str(CLIENTE), "--porta", str(porta)]
    return subprocess.run(
        [*comando, "--host", "localhost", "oi"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PRAZO,
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_localhost_alcanca_um_servidor_que_so_escuta_em_um_dos_enderecos(
    abrir, nos_dois_enderecos, host
):
    servidor = abrir(Servidor, "--host", host)
    cliente = conversar_com_localhost(nos_dois_enderecos, servidor.porta)
    assert (cliente.returncode, cliente.stdout, cliente.stderr) == (0, b"oi", b"")


def test_quando_todos_recusam_o_erro_nomeia_cada_endereco(nos_dois_enderecos, porta_sem_ninguem):
    cliente = conversar_com_localhost(nos_dois_enderecos, porta_sem_ninguem)
    assert cliente.returncode == 1
    recusa = "Connection refused (o servidor está escutando nesse endereço?)"
    assert uma_linha_de_erro(cliente.stderr, "cliente_socket.py") == (
        f"não foi possível conectar a [::1]:{porta_sem_ninguem}: {recusa}; "
        f"127.0.0.1:{porta_sem_ninguem}: {recusa}"
    )


def test_uma_familia_que_o_sistema_nao_tem_nao_impede_as_outras(
    abrir, nos_dois_enderecos, tmp_path
):
    """Um núcleo sem IPv6 recusa a criação do socket: aqui, o strace recusa essa chamada."""
    if not shutil.which("strace"):
        pytest.skip("não há strace para recusar a criação do socket")
    servidor = abrir(Servidor, "-k")
    rastro = tmp_path / "rastro"
    strace = [*nos_dois_enderecos, "strace", "-qq", "-o", str(rastro), "-e", "trace=socket"]
    assert conversar_com_localhost(strace, servidor.porta).stdout == b"oi"
    # O resolvedor também cria sockets: procura-se a vez do que é do cliente.
    chamadas = rastro.read_text().splitlines()
    vez = 1 + next(i for i, linha in enumerate(chamadas) if "AF_INET6, SOCK_STREAM" in linha)
    strace += ["-e", f"inject=socket:error=EAFNOSUPPORT:when={vez}"]
    cliente = conversar_com_localhost(strace, servidor.porta)
    assert "EAFNOSUPPORT" in rastro.read_text()
    assert (cliente.returncode, cliente.stdout, cliente.stderr) == (0, b"oi", b"")
