"""O fim da conexão: o cliente recebe o bloco e um fim limpo, e o servidor espera por pouco."""

import contextlib
import os
import re
import select
import threading
import time

import pytest
from conftest import (
    FOLGA,
    PRAZO,
    PYTHON,
    SERVIDOR,
    TAMANHO_DO_BLOCO,
    Servidor,
    eco,
    linux,
    precisa_de,
    receber_tudo,
    resetar,
)

ESPERA_PELO_FIM = 1.0  # segundos


@pytest.mark.parametrize("tamanho", [1025, 8_000_000 if os.name == "posix" else 800_000])
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


@linux
@precisa_de("strace")
def test_cada_espera_pelo_fim_e_so_pelo_que_resta_do_segundo(abrir, tmp_path):
    """O strace mostra quanto o servidor pede ao sistema que espere, em milissegundos."""
    rastro = tmp_path / "rastro"
    strace = ("strace", "-D", "-o", rastro, "-e", "trace=poll")
    servidor = abrir(Servidor, comando=(*strace, *PYTHON, SERVIDOR))
    with servidor.conectar() as client_socket:
        client_socket.sendall(b"oi")
        assert receber_tudo(client_socket) == b"oi"
        select.select([], [], [], 0.05)
        client_socket.sendall(b"mais")
    assert servidor.wait() == 0
    _, antes, depois = re.findall(r"POLLIN.*\}\], 1, (\d+)\)", rastro.read_text())
    assert int(depois) <= int(antes) - 50 < 1000


def test_quem_nunca_encerra_e_quem_despeja_sem_parar_esperam_um_segundo_ao_todo(
    servidor, servidor_continuo
):
    """Ao mesmo tempo, cada um com o seu servidor: para o calado, não é falha da conexão."""
    inicio = time.monotonic()
    with servidor.conectar() as calado, servidor_continuo.conectar() as torneira:
        cortada = threading.Event()

        def despejar() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    torneira.sendall(b"x" * 65536)
            cortada.set()

        linha_de_execucao = threading.Thread(target=despejar, daemon=True)
        linha_de_execucao.start()
        calado.sendall(b"oi")
        assert receber_tudo(calado) == b"oi"
        assert servidor.linha().endswith(": 2 bytes, 'oi', o cliente não encerrou em 1 s")
        assert (servidor.wait(), servidor.erros()) == (0, "")
        assert servidor_continuo.linha().endswith(", o cliente não encerrou em 1 s")
        assert ESPERA_PELO_FIM * 0.9 < time.monotonic() - inicio < ESPERA_PELO_FIM + FOLGA
        servidor_continuo.ainda_atende()
        assert cortada.wait(PRAZO)
        linha_de_execucao.join(PRAZO)


@linux
def test_com_k_nenhum_descritor_fica_aberto(servidor_continuo):
    def uma_rodada() -> int:
        eco(servidor_continuo.porta, b"x" * 100_000)
        servidor_continuo.linha()
        for mensagem in (b"", b"oi"):
            com_reset = servidor_continuo.conectar()
            com_reset.sendall(mensagem)
            resetar(com_reset)
            servidor_continuo.linha()
        return len(os.listdir(f"/proc/{servidor_continuo.pid}/fd"))

    assert len({uma_rodada() for _ in range(20)}) == 1
