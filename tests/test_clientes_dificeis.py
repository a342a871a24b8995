"""O que um cliente pode fazer de errado custa uma linha ao servidor; o bloco chega inteiro."""

import contextlib
import errno
import io
import itertools
import re
import select
import socket
import time
import unicodedata

import pytest
from apoio import SERVIDOR, chamar
from maquina import do_sistema, linux
from rede import FOLGA, TAMANHO_DO_BLOCO, eco, receber_tudo, resetar

RESET = f"conexão perdida ({do_sistema(errno.ECONNRESET)})"
ESPERA_PELO_FIM = 1.0  # segundos


def receber_o_eco(conn: socket.socket) -> None:
    conn.sendall(b"oi")
    assert receber_tudo(conn) == b"oi"


@pytest.mark.parametrize(
    ("faz", "relato", "status"),
    [
        ([socket.socket.close], "bytes lidos: 0, '', fim limpo", 0),
        pytest.param([resetar], f"bytes lidos: 0, '', {RESET}", 1, marks=linux),
        pytest.param([receber_o_eco, resetar], f"bytes lidos: 2, 'oi', {RESET}", 1, marks=linux),
        ([receber_tudo], "bytes lidos: 0, '', tempo limite de 0.5 s esgotado", 1),
    ],
)
@pytest.mark.parametrize("continuo", [False, True])
def test_cada_modo_de_falhar_custa_uma_linha(abrir_servidor, faz, relato, status, continuo):
    limite = "0.5" if "0.5" in relato else "30"
    servidor = abrir_servidor("--tempo-limite", limite, *["-k"] * continuo)
    with servidor.conectar() as conn:
        for gesto in faz:
            gesto(conn)
        quem, _, visto = servidor.linha().partition(": ")
    assert (quem.partition(":")[0], visto) == ("127.0.0.1", relato)
    if continuo:
        servidor.ainda_atende()
    else:
        assert (servidor.wait(), servidor.resto(), servidor.erros()) == (status, "", "")


def test_nem_quem_desiste_na_fila_nem_quem_nao_tem_endereco_o_derruba(monkeypatch):
    """O accept falha assim fora do Linux, e é assim que às vezes dá certo no macOS."""
    conn, cliente = socket.socketpair()
    cliente.shutdown(socket.SHUT_WR)
    fila = [ConnectionAbortedError(), conn, OSError(errno.EMFILE, "cheio")]

    def aceitar(_: socket.socket) -> tuple:
        chegou = fila.pop(0)
        if isinstance(chegou, OSError):
            raise chegou
        return chegou, None

    monkeypatch.setattr(socket.socket, "accept", aceitar)
    with cliente:
        status, saida, erros = chamar(SERVIDOR, "-k", "--porta", "0")
    assert saida.splitlines()[2:] == ["cliente que já saiu: bytes lidos: 0, '', fim limpo"]
    # Um accept que falha por outra razão é um erro, e não um laço sem fim.
    do_servidor = "servidor_socket.py: erro: o servidor em '127.0.0.1' falhou: "
    assert (status, erros) == (1, f"{do_servidor}[Errno {errno.EMFILE}] cheio\n")


def test_o_texto_do_cliente_nao_forja_linhas_nem_chega_cru_ao_terminal(abrir_servidor):
    servidor = abrir_servidor("--continuo")
    for enviado, mostrado in {
        b"a\n127.0.0.1:1: 9 bytes, 'falso', fim limpo\n": r"a\n127.0.0.1:1: 9 bytes, 'falso'",
        b"\x1b[2J\x07\r\x7f": r"'\x1b[2J\x07\r\x7f'",
        "\u009b31m\u0085\u2028\u2029".encode(): r"'\x9b31m\x85\u2028\u2029'",
        "ação € 日本 😀".encode(): "'ação € 日本 😀'",
        b"\xff\xc3": r"'\udcff\udcc3'",
        rb"\xff\xc3": r"'\\xff\\xc3'",
    }.items():
        assert eco(servidor.porta, enviado) == enviado
        linha = servidor.linha()
        assert mostrado in linha
        assert all(unicodedata.category(letra)[0] not in "CZ" or letra == " " for letra in linha)
    servidor.ainda_atende()


@pytest.mark.parametrize("tamanho", [1025, 800_000])
def test_quem_envia_mais_de_1024_bytes_recebe_o_primeiro_bloco_e_um_fim_limpo(servidor, tamanho):
    mensagem = bytes(i % 251 for i in range(TAMANHO_DO_BLOCO)) * (tamanho // TAMANHO_DO_BLOCO + 1)
    recebido = eco(servidor.porta, mensagem[:tamanho])
    assert recebido
    assert mensagem[:TAMANHO_DO_BLOCO].startswith(recebido)
    assert f", bytes descartados: {tamanho - len(recebido)}, fim limpo" in servidor.linha()
    assert servidor.wait() == 0


def pingar(conn: socket.socket) -> None:
    """O segundo pingo chega depois do prazo, e também se conta."""
    receber_o_eco(conn)
    for pingo in (b"a", b"b"):
        assert not select.select([], [], [conn], ESPERA_PELO_FIM * 0.6)[2]
        conn.sendall(pingo)


def despejar(conn: socket.socket) -> None:
    with contextlib.suppress(ConnectionError):
        while True:  # até que o servidor corte
            conn.sendall(b"x" * 65536)


@pytest.mark.parametrize(
    ("faz", "relato"),
    [
        (receber_o_eco, "bytes lidos: 2, 'oi'"),
        (pingar, "bytes lidos: 2, 'oi', bytes descartados: 2"),
        (despejar, r".*, bytes descartados: \d+"),
    ],
)
def test_quem_nao_encerra_espera_um_segundo_e_nao_e_uma_falha(servidor, faz, relato):
    inicio = time.monotonic()
    with servidor.conectar() as conn:
        faz(conn)
        assert re.fullmatch(rf"\S+: {relato}, o cliente não encerrou em 1 s", servidor.linha())
        assert ESPERA_PELO_FIM * 0.9 < time.monotonic() - inicio < ESPERA_PELO_FIM + FOLGA
    assert (servidor.wait(), servidor.erros()) == (0, "")


def test_quem_o_roda_passo_a_passo_ve_o_fim_de_quem_ja_encerrou(ao_escutar, monkeypatch):
    """No pdb, o segundo do servidor passa antes do primeiro recv que espera pelo fim."""
    relogio = itertools.count(step=2 * ESPERA_PELO_FIM)
    monkeypatch.setattr(time, "monotonic", lambda: next(relogio))
    vista = io.StringIO()
    ao_escutar(vista.getvalue, receber_o_eco)
    status, saida, _ = chamar(SERVIDOR, "--porta", "0", saida=vista)
    assert status == 0
    assert saida.endswith(": bytes lidos: 2, 'oi', fim limpo\n")
