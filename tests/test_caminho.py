"""O fim da mensagem não passa à frente da resposta, e não falta a quem espera por ele.

Entre os dois programas pode haver um terceiro, que repassa os bytes e, ao primeiro fim que vê,
encerra a conversa inteira. E há servidores que só respondem, ou encerram, depois do fim.
"""

import select
import socket
import time

import pytest
from conftest import (
    PRAZO,
    TAMANHO_DO_BLOCO,
    receber_tudo,
    rodar_cliente,
)


def test_um_rele_que_acaba_no_primeiro_fim_entrega_a_resposta(parceiro, servidor):
    def repassar(conn: socket.socket) -> None:
        with socket.create_connection((servidor.host, servidor.porta), PRAZO) as outro:
            destino = {conn: outro, outro: conn}
            while True:
                for origem in select.select([conn, outro], [], [])[0]:
                    if not (data := origem.recv(TAMANHO_DO_BLOCO)):
                        return
                    destino[origem].sendall(data)

    cliente = rodar_cliente("olá", "--tempo-limite", "100", porta=parceiro(repassar))
    assert (cliente.returncode, cliente.stdout, cliente.stderr) == (0, "olá".encode(), b"")
    assert servidor.linha().endswith(": bytes lidos: 4, 'olá', fim limpo")


DECIMO = 1.2  # segundos
LIMITE = ("--tempo-limite", "12")


def ler_ate_o_fim_e_so_entao_responder(conn: socket.socket) -> None:
    assert receber_tudo(conn) == b"oi"
    conn.sendall(b"oi")


def devolver_tudo_ate_o_fim(conn: socket.socket) -> None:
    """É o eco da RFC 862."""
    while data := conn.recv(TAMANHO_DO_BLOCO):
        conn.sendall(data)


@pytest.mark.parametrize("faz", [ler_ate_o_fim_e_so_entao_responder, devolver_tudo_ate_o_fim])
def test_quem_espera_pelo_fim_da_mensagem_o_recebe_depois_de_um_decimo_do_limite(parceiro, faz):
    espera = []

    def cronometrar(conn: socket.socket) -> None:
        conn.recv(1, socket.MSG_PEEK)  # a mensagem chegou, e ninguém a leu ainda
        inicio = time.monotonic()
        faz(conn)
        espera.append(time.monotonic() - inicio)

    cliente = rodar_cliente("oi", *LIMITE, porta=parceiro(cronometrar))
    assert (cliente.returncode, cliente.stdout, cliente.stderr) == (0, b"oi", b"")
    assert 0.5 * DECIMO < espera[0] < 1.9 * DECIMO


def test_o_fim_vai_uma_vez_so_por_mais_que_a_resposta_pause(parceiro, strace):
    """O núcleo da Apple nega o segundo shutdown; o strace faz o mesmo aqui."""

    def pausar(conn: socket.socket) -> None:
        assert receber_tudo(conn) == b"oi"
        conn.sendall(b"um ")
        assert not select.select([], [], [conn], 0.4)[2]  # calado, dois décimos do limite
        conn.sendall(b"dois")

    so_um = strace("shutdown:error=ENOTCONN:when=2+")
    cliente = rodar_cliente("oi", "--tempo-limite=2", porta=parceiro(pausar), inicio=so_um)
    assert (cliente.returncode, cliente.stdout, cliente.stderr) == (0, b"um dois", b"")
