"""O fim da conexão: o cliente recebe o bloco e um fim limpo, e o servidor espera por pouco."""

import contextlib
import re
import select
import socket
import subprocess
import time

import pytest
from conftest import FOLGA, PYTHON, RAIZ, SERVIDOR, TAMANHO_DO_BLOCO, eco, receber_tudo, unix

ESPERA_PELO_FIM = 1.0  # segundos


@pytest.mark.parametrize("tamanho", [1025, 800_000])
def test_quem_envia_mais_de_1024_bytes_recebe_o_primeiro_bloco_e_um_fim_limpo(servidor, tamanho):
    mensagem = bytes(i % 251 for i in range(TAMANHO_DO_BLOCO)) * (tamanho // TAMANHO_DO_BLOCO + 1)
    recebido = eco(servidor.porta, mensagem[:tamanho])
    assert recebido
    assert mensagem[:TAMANHO_DO_BLOCO].startswith(recebido)
    assert f", bytes descartados: {tamanho - len(recebido)}, fim limpo" in servidor.linha()
    assert servidor.wait() == 0


def calar(conn: socket.socket) -> None:
    conn.sendall(b"oi")
    assert receber_tudo(conn) == b"oi"


def despejar(conn: socket.socket) -> None:
    with contextlib.suppress(ConnectionError):
        while True:  # até que o servidor corte
            conn.sendall(b"x" * 65536)


@pytest.mark.parametrize(
    ("faz", "relato"),
    [(calar, "bytes lidos: 2, 'oi'"), (despejar, r".*, bytes descartados: \d+")],
)
def test_quem_nao_encerra_espera_um_segundo_e_nao_e_uma_falha(servidor, faz, relato):
    inicio = time.monotonic()
    with servidor.conectar() as client_socket:
        faz(client_socket)
        assert re.fullmatch(rf".*: {relato}, o cliente não encerrou em 1 s", servidor.linha())
        assert ESPERA_PELO_FIM * 0.9 < time.monotonic() - inicio < ESPERA_PELO_FIM + FOLGA
    assert (servidor.wait(), servidor.erros()) == (0, "")


@unix
def test_quem_roda_o_servidor_passo_a_passo_ve_o_fim_de_quem_ja_encerrou(abrir):
    """No pdb, o segundo do servidor passa antes do primeiro recv que espera pelo fim."""
    codigo = SERVIDOR.read_text(encoding="utf-8").splitlines()
    [laco] = [n for n, linha in enumerate(codigo, 1) if "while data := conn.recv(" in linha]
    programa = "import pdb, servidor_socket; pdb.run('servidor_socket.main()')"
    comando = (*PYTHON, "-B", "-c", programa, "--porta", "0")
    depurador = abrir(*comando, cwd=RAIZ, stdin=subprocess.PIPE)
    depurador.stdin.write(f"break servidor_socket:{laco}\ncontinue\n".encode())
    depurador.stdin.flush()
    while "Escutando em " not in (linha := depurador.linha()):
        pass
    assert eco(int(re.search(r":(\d+) ", linha)[1]), b"oi") == b"oi"
    while not depurador.linha().startswith("-> while data"):
        pass
    assert not select.select([depurador.stdout], [], [], ESPERA_PELO_FIM * 1.1)[0]
    assert b": bytes lidos: 2, 'oi', fim limpo" in depurador.communicate(b"continue\n")[0]
