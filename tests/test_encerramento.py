"""O fim da conexão: o cliente recebe o bloco e um fim limpo, e o servidor espera por pouco."""

import contextlib
import re
import socket
import time

import pytest
from conftest import FOLGA, PYTHON, SERVIDOR, TAMANHO_DO_BLOCO, eco, receber_tudo

ESPERA_PELO_FIM = 1.0  # segundos


@pytest.mark.parametrize("tamanho", [1025, 800_000])
def test_quem_envia_mais_de_1024_bytes_recebe_o_primeiro_bloco_e_um_fim_limpo(servidor, tamanho):
    mensagem = bytes(i % 251 for i in range(TAMANHO_DO_BLOCO)) * (tamanho // TAMANHO_DO_BLOCO + 1)
    recebido = eco(servidor.porta, mensagem[:tamanho])
    assert recebido
    assert mensagem[:TAMANHO_DO_BLOCO].startswith(recebido)
    assert f", bytes descartados: {tamanho - len(recebido)}, fim limpo" in servidor.linha()
    assert servidor.wait() == 0


def test_o_fim_vem_limpo_cem_vezes_seguidas_com_bytes_sobrando(servidor_continuo):
    for _ in range(100):
        assert eco(servidor_continuo.porta, b"x" * 3000) == b"x" * TAMANHO_DO_BLOCO
        assert servidor_continuo.linha().endswith(", bytes descartados: 1976, fim limpo")


def calar(conn: socket.socket) -> None:
    conn.sendall(b"oi")
    assert receber_tudo(conn) == b"oi"


def despejar(conn: socket.socket) -> None:
    with contextlib.suppress(ConnectionError):
        while True:  # até que o servidor corte
            conn.sendall(b"x" * 65536)


@pytest.mark.parametrize(
    ("faz", "relato"), [(calar, "2 bytes, 'oi'"), (despejar, r".*, bytes descartados: \d+")]
)
def test_quem_nao_encerra_espera_um_segundo_e_nao_e_uma_falha(servidor, faz, relato):
    inicio = time.monotonic()
    with servidor.conectar() as client_socket:
        faz(client_socket)
        assert re.fullmatch(rf".*: {relato}, o cliente não encerrou em 1 s", servidor.linha())
        assert ESPERA_PELO_FIM * 0.9 < time.monotonic() - inicio < ESPERA_PELO_FIM + FOLGA
    assert (servidor.wait(), servidor.erros()) == (0, "")


PASSO_A_PASSO = """\
import runpy, sys, threading

def passo(quadro, evento, _):
    if evento == "line" and "prazo" in quadro.f_locals:
        threading.Event().wait(0.3)
    if quadro.f_code.co_name == "encerrar":
        return passo

sys.argv = sys.argv[1:]
sys.settrace(passo)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_quem_roda_o_servidor_passo_a_passo_ve_o_fim_de_quem_ja_encerrou(abrir_servidor):
    """Em um depurador, uma linha por vez, o segundo passa antes do primeiro recv."""
    servidor = abrir_servidor(comando=(*PYTHON, "-c", PASSO_A_PASSO, SERVIDOR))
    inicio = time.monotonic()
    assert eco(servidor.porta, b"oi") == b"oi"
    assert servidor.linha().endswith(": 2 bytes, 'oi', fim limpo")
    assert time.monotonic() - inicio > ESPERA_PELO_FIM
