"""O fim da conexão: o cliente recebe o bloco e um fim limpo, e o servidor espera por pouco."""

import contextlib
import os
import re
import select
import shutil
import socket
import threading
from pathlib import Path

import pytest
from conftest import (
    PELO_PYTHON,
    PRAZO,
    TAMANHO_DO_BLOCO,
    Servidor,
    eco,
    esperar_parar,
    linux,
    receber_tudo,
    resetar,
)

ESPERA_PELO_FIM = 1.0  # segundos
FOLGA = 4.0  # segundos: para uma máquina ocupada; bem menos que o tempo limite de 30


@pytest.mark.parametrize("tamanho", [1025, 5_000, 1_000_000, 8_000_000])
def test_quem_envia_mais_de_1024_bytes_recebe_o_primeiro_bloco_e_um_fim_limpo(servidor, tamanho):
    mensagem = bytes(i % 251 for i in range(TAMANHO_DO_BLOCO)) * (tamanho // TAMANHO_DO_BLOCO + 1)
    recebido = eco(servidor, mensagem[:tamanho])
    assert recebido
    assert mensagem[:TAMANHO_DO_BLOCO].startswith(recebido)
    assert f"descarte de {tamanho - len(recebido)}, fim limpo" in servidor.linha()
    assert servidor.status() == 0


def test_o_fim_vem_limpo_cem_vezes_seguidas_com_bytes_sobrando(servidor_continuo):
    for _ in range(100):
        assert eco(servidor_continuo, b"x" * 3000) == b"x" * TAMANHO_DO_BLOCO
        assert servidor_continuo.linha().endswith("descarte de 1976, fim limpo")


def test_o_servidor_anuncia_o_fim_do_eco_sem_esperar_o_fim_do_cliente(servidor, cronometro):
    with servidor.conectar() as client_socket:
        client_socket.sendall(b"oi")
        assert receber_tudo(client_socket) == b"oi"
        assert cronometro() < FOLGA


def test_o_que_chega_depois_do_eco_e_descartado_sem_reset(servidor):
    with servidor.conectar() as client_socket:
        client_socket.sendall(b"primeiro")
        assert receber_tudo(client_socket) == b"primeiro"
        client_socket.sendall(b"depois do eco")
        client_socket.shutdown(socket.SHUT_WR)
        assert servidor.linha().endswith(", 'primeiro', descarte de 13, fim limpo")
        assert client_socket.recv(1) == b""


def test_quem_nunca_encerra_espera_um_segundo_e_o_proximo_e_atendido(servidor_continuo, cronometro):
    with servidor_continuo.conectar() as calado:
        calado.sendall(b"oi")
        assert receber_tudo(calado) == b"oi"
        assert servidor_continuo.linha().endswith(
            ", 'oi', descarte de 0, o cliente não encerrou em 1 s"
        )
        assert ESPERA_PELO_FIM * 0.9 < cronometro() < ESPERA_PELO_FIM + FOLGA
        servidor_continuo.ainda_atende()


@linux
def test_cada_espera_pelo_fim_e_so_pelo_que_resta_do_segundo(abrir, tmp_path):
    """O strace mostra quanto o servidor pede ao sistema que espere, em milissegundos."""
    if not shutil.which("strace"):
        pytest.skip("não há strace para mostrar as esperas")
    rastro = tmp_path / "rastro"
    strace = ("strace", "-o", str(rastro), "-e", "trace=poll")
    servidor = abrir(Servidor, comando=(*strace, *PELO_PYTHON))
    [filho] = Path(f"/proc/{servidor.pid}/task/{servidor.pid}/children").read_text().split()
    with servidor.conectar() as client_socket:
        client_socket.sendall(b"oi")
        assert receber_tudo(client_socket) == b"oi"
        esperar_parar(int(filho))  # o segundo já começou a contar
        for _ in range(3):
            select.select([], [], [], 0.05)
            client_socket.sendall(b"mais")
    assert "descarte de 12, fim limpo" in servidor.linha()
    assert servidor.status() == 0
    esperas = [int(n) for n in re.findall(r"POLLIN.*\}\], 1, (\d+)\)", rastro.read_text())]
    pelo_fim = esperas[1:]  # a primeira é pela mensagem
    assert pelo_fim[0] <= 1000
    assert pelo_fim[-1] <= 1000 - 3 * 50
    assert pelo_fim == sorted(pelo_fim, reverse=True)


def test_quem_despeja_sem_parar_e_cortado_em_um_segundo_ao_todo(servidor_continuo, cronometro):
    with servidor_continuo.conectar() as torneira:
        cortada = threading.Event()

        def despejar() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    torneira.sendall(b"x" * 65536)
            cortada.set()

        linha_de_execucao = threading.Thread(target=despejar, daemon=True)
        linha_de_execucao.start()
        assert "o cliente não encerrou em 1 s" in servidor_continuo.linha()
        assert cronometro() < ESPERA_PELO_FIM + FOLGA
        servidor_continuo.ainda_atende()
        assert cortada.wait(PRAZO)
        linha_de_execucao.join(PRAZO)


def test_quem_fica_depois_do_eco_nao_e_falha_da_conexao(servidor):
    with servidor.conectar() as calado:
        calado.sendall(b"oi")
        assert receber_tudo(calado) == b"oi"
        assert servidor.status() == 0
        assert servidor.erros() == ""


@linux
def test_com_k_nenhum_descritor_e_nenhuma_memoria_ficam(servidor_continuo):
    def uma_rodada() -> None:
        eco(servidor_continuo, b"x" * 3_000_000)
        servidor_continuo.linha()
        servidor_continuo.conectar().close()
        servidor_continuo.linha()
        for mensagem in (b"", b"oi"):
            com_reset = servidor_continuo.conectar()
            com_reset.sendall(mensagem)
            resetar(com_reset)
            servidor_continuo.linha()

    def descritores() -> int:
        return len(os.listdir(f"/proc/{servidor_continuo.pid}/fd"))

    def memoria() -> int:  # KiB
        with open(f"/proc/{servidor_continuo.pid}/status") as situacao:
            return next(int(linha.split()[1]) for linha in situacao if linha.startswith("VmHWM"))

    for _ in range(5):
        uma_rodada()
    descritores_antes, memoria_antes = descritores(), memoria()
    for _ in range(40):
        uma_rodada()
    assert descritores() == descritores_antes
    assert memoria() - memoria_antes < 1024


def test_reinicia_na_mesma_porta_logo_depois_de_encerrar_a_conexao(abrir):
    """O servidor encerra primeiro, logo é a porta dele que fica em TIME-WAIT."""
    primeiro = abrir(Servidor)
    with primeiro.conectar() as client_socket:
        client_socket.sendall(b"oi")
        assert receber_tudo(client_socket) == b"oi"
    assert primeiro.status() == 0
    segundo = abrir(Servidor, "--porta", str(primeiro.porta))
    assert segundo.porta == primeiro.porta
    assert eco(segundo, b"de novo") == b"de novo"
