"""O fim da mensagem não passa à frente da resposta, e não falta a quem espera por ele.

Entre os dois programas pode haver um terceiro, que repassa os bytes e, ao primeiro fim que vê,
encerra a conversa inteira. E há servidores que só respondem, ou encerram, depois do fim.
"""

import select
import socket
import time

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


def test_o_eco_da_rfc_862_recebe_o_fim_que_espera_em_um_decimo_do_limite(parceiro):
    decimo = 1.2  # segundos
    espera = []

    def ecoar_ate_o_fim(conn: socket.socket) -> None:
        data = conn.recv(TAMANHO_DO_BLOCO)
        inicio = time.monotonic()
        while data:
            conn.sendall(data)
            data = conn.recv(TAMANHO_DO_BLOCO)
        espera.append(time.monotonic() - inicio)

    porta = parceiro(ecoar_ate_o_fim)
    cliente = rodar_cliente("oi", "--tempo-limite", f"{decimo * 10}", porta=porta)
    assert (cliente.returncode, cliente.stdout, cliente.stderr) == (0, b"oi", b"")
    assert 0.5 * decimo < espera[0] < 1.9 * decimo


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
