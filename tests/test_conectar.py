"""O cliente tenta cada endereço de um nome, e conta por que cada um falhou."""

import contextlib
import errno
import socket
import time

import pytest
from apoio import CLIENTE, SERVIDOR, chamar, erro_de
from maquina import linux, precisa_de_ipv6
from rede import FOLGA, responder

DICAS = {
    "ECONNREFUSED": "conexão recusada: o servidor está escutando nesse endereço?",
    "ECONNRESET": "quem aceitou a conexão já se foi: o servidor, ou um programa no meio",
}


def motivo(erro: str) -> str:
    dica = DICAS.get(erro, "não se chegou lá: confira o endereço, a rede e o firewall")
    return f"erro {getattr(errno, erro)} ({dica})"


def por_que_nao_conectou(*argumentos: str, porta: int) -> str:
    erro = erro_de(CLIENTE, 1, "oi", "--porta", str(porta), *argumentos)
    return erro.partition(f" falhou: não foi possível conectar à porta {porta}: ")[2]


@pytest.fixture
def sao_dois(monkeypatch) -> None:
    """O nome tem os dois endereços, nesta ordem."""
    procurar = socket.getaddrinfo

    def os_dois(_: object, *resto, **opcoes) -> list:
        return [procurar(host, *resto, **opcoes)[0] for host in ("::1", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", os_dois)


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=precisa_de_ipv6)])
def test_um_nome_alcanca_quem_escuta_em_um_dos_enderecos(sao_dois, abrir_servidor, host):
    escrito = {"::1": "[::1]"}.get(host, host)
    servidor = abrir_servidor("--host", host)
    assert servidor.anuncio == f"Escutando em {escrito}:{servidor.porta} (Ctrl+C encerra)"
    visto = chamar(CLIENTE, "--host", "localhost", "--porta", str(servidor.porta), "oi")
    assert visto == (0, "oi\n", "")
    assert servidor.linha().startswith(f"{escrito}:")


@precisa_de_ipv6
def test_o_servidor_fica_com_o_primeiro_endereco_do_nome(sao_dois):
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as ocupante:
        porta = str(ocupante.getsockname()[1])
        em_uso = erro_de(SERVIDOR, 1, "--host", "localhost", "--porta", porta)
    assert "(a porta está em uso" in em_uso


def test_um_sistema_que_nao_tem_ipv6_tenta_os_outros(sao_dois, porta_sem_ninguem, monkeypatch):
    class SemIPv6(socket.socket):
        def __init__(self, familia: int, *resto) -> None:
            if familia == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, "")
            super().__init__(familia, *resto)

    monkeypatch.setattr(socket, "socket", SemIPv6)
    porque = por_que_nao_conectou("--host", "localhost", porta=porta_sem_ninguem)
    assert porque == f"::1: {motivo('EAFNOSUPPORT')}; 127.0.0.1: {motivo('ECONNREFUSED')}"


@pytest.mark.parametrize("erro", [*DICAS, "ENETUNREACH", "ETIMEDOUT"])
def test_cada_motivo_de_nao_conectar_tem_o_seu_numero_e_diz_o_que_conferir(monkeypatch, erro):
    monkeypatch.setattr(socket.socket, "connect_ex", lambda *_: getattr(errno, erro))
    assert por_que_nao_conectou(porta=7007) == f"127.0.0.1: {motivo(erro)}"


@linux
def test_uma_conexao_que_nao_se_completa_termina_no_limite():
    inicio = time.monotonic()
    with contextlib.ExitStack() as pilha:
        cheio = pilha.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        porta = cheio.getsockname()[1]
        for _ in range(3):  # mais do que cabe na fila
            ocupante = pilha.enter_context(socket.socket())
            ocupante.setblocking(False)
            ocupante.connect_ex(cheio.getsockname())
        porque = por_que_nao_conectou("--tempo-limite", "0.2", porta=porta)
    assert porque == f"127.0.0.1: {motivo('EWOULDBLOCK')}"
    assert 0.2 < time.monotonic() - inicio < 0.2 + FOLGA


@pytest.mark.parametrize("host", ["a..b", " 127.0.0.1", "é" * 70])
def test_um_host_que_nao_existe_aparece_entre_aspas_nos_dois_scripts(host):
    erro = erro_de(SERVIDOR, 1, "--host", host)
    assert erro.startswith(f"o servidor em {host!r} falhou: ")
    erro = erro_de(CLIENTE, 1, "--host", host, "oi")
    assert erro.startswith(f"a conversa com {host!r} falhou: ")


def test_um_nome_desconhecido_diz_para_conferir_o_host(monkeypatch):
    def procurar(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "não há")

    monkeypatch.setattr(socket, "getaddrinfo", procurar)
    motivo = f"[Errno {socket.EAI_NONAME}] não há (nome desconhecido: confira --host)"
    assert erro_de(SERVIDOR, 1, "--host=n") == f"o servidor em 'n' falhou: {motivo}"
    assert erro_de(CLIENTE, 1, "--host=n", "oi") == f"a conversa com 'n' falhou: {motivo}"


def test_um_host_fora_do_ascii_e_procurado_pela_forma_internacional(parceiro):
    """O IDNA (RFC 3490 § 4) faz dos algarismos largos os comuns."""
    host, porta = "\uff11\uff12\uff17.0.0.1", str(parceiro(responder(b"oi")))
    assert chamar(CLIENTE, "oi", "--host", host, "--porta", porta) == (0, "oi\n", "")
