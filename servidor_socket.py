#!/usr/bin/env python3
"""Servidor TCP de eco: aceita uma conexão, devolve o bloco que leu e encerra sem perder nada."""

import argparse
import contextlib
import errno
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator

BACKLOG = 3  # conexões que o sistema guarda na fila até o accept
TAMANHO_DO_BLOCO = 1024  # bytes: o máximo que o servidor lê e devolve
DESCARTE = bytearray(65536)  # bytes: onde cai, e se perde de propósito, o que passou do bloco
ESPERA_PELO_FIM = 1.0  # segundos, ao todo, para o cliente encerrar o lado dele


def escutar(host: str, porta: int) -> socket.socket:
    """Devolve um socket que escuta em host:porta (0: o sistema escolhe); SystemExit se não pode."""
    with explicar(f"não foi possível encontrar o host {host!r} (confira --host)"):
        familia, tipo, proto, _, addr = socket.getaddrinfo(host, porta, type=socket.SOCK_STREAM)[0]
    with explicar(f"não foi possível escutar em {endereco(addr)}"):
        serv_socket = socket.socket(familia, tipo, proto)
        if os.name == "posix":
            # Sem isto, conexões recém-encerradas (TIME-WAIT, RFC 9293 § 3.3.2) impedem reiniciar na
            # mesma porta. No Windows, a opção deixaria outro programa tomar a porta em uso.
            serv_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        serv_socket.bind(addr)
        serv_socket.listen(BACKLOG)
    return serv_socket


def servir(serv_socket: socket.socket, tempo_limite: float, continuo: bool) -> None:
    """Atende uma conexão, ou uma após a outra, e narra cada uma; SystemExit se a única falhar."""
    while True:
        with explicar("não foi possível aceitar uma conexão"):
            try:
                conn, addr = serv_socket.accept()
            except ConnectionAbortedError as exc:  # nos BSDs, quem dá um reset ainda na fila
                narrar(f"um cliente saiu antes do accept ({exc})")
                continue
        relato, falhou = atender(conn, tempo_limite)
        narrar(f"{endereco(addr)}: {relato}")
        if not continuo:
            break
    if falhou:
        sys.exit(f"{NOME}: erro: {endereco(addr)}: {relato}")


def atender(conn: socket.socket, tempo_limite: float) -> tuple[str, bool]:
    """Espera um bloco por até `tempo_limite` segundos e o devolve; diz como foi e se falhou."""
    data, falhou = b"", False
    try:
        conn.settimeout(tempo_limite)
        data = conn.recv(TAMANHO_DO_BLOCO)
        if data:
            conn.sendall(data)
            fim = encerrar(conn)
        else:
            fim = "o cliente saiu sem enviar nada"
    except TimeoutError as exc:
        fim, falhou = f"tempo limite de {tempo_limite:g} s esgotado ({exc})", True
    except OSError as exc:
        fim, falhou = f"conexão perdida ({exc})", True
    finally:
        conn.close()
    tamanho = "1 byte" if len(data) == 1 else f"{len(data)} bytes"
    # O repr (!r) escapa o que forjaria uma linha ou comandaria o terminal.
    return f"{tamanho}, {data.decode(errors='backslashreplace')!r}, {fim}", falhou


def encerrar(conn: socket.socket) -> str:
    """Envia o fim do eco, descarta o que ainda chega até o cliente encerrar, e diz como terminou.

    Um close com bytes por ler provoca um reset (RFC 1122 § 4.2.2.13), que pode apagar o eco antes
    que o cliente o leia. Por isso o servidor lê, por até ESPERA_PELO_FIM segundos ao todo.
    """
    conn.shutdown(socket.SHUT_WR)
    descartados = 0
    prazo = time.monotonic() + ESPERA_PELO_FIM
    with contextlib.suppress(TimeoutError):
        while (resta := prazo - time.monotonic()) > 0:
            conn.settimeout(resta)
            recebidos = conn.recv_into(DESCARTE)
            if not recebidos:
                return f"descarte de {descartados}, fim limpo"
            descartados += recebidos
    return f"descarte de {descartados}, o cliente não encerrou em {ESPERA_PELO_FIM:g} s"


# Daqui para baixo, nada de rede: o que se escreve e a linha de comando.

NOME = os.path.basename(sys.argv[0])
DICAS = {
    errno.EADDRINUSE: " (a porta está em uso: escolha outra com --porta)",
    errno.EACCES: " (porta abaixo de 1024 exige privilégios: escolha outra com --porta)",
    errno.EADDRNOTAVAIL: " (o endereço não é desta máquina: confira --host)",
}
ESPERA_MAXIMA = 2147483.0  # segundos: o sistema conta milissegundos em 31 bits
PORTUGUES = {  # o que o argparse diria em inglês
    "usage: ": "uso: ",
    "options": "opções",
    "show this help message and exit": "mostra esta ajuda e termina",
    "expected one argument": "falta o valor",
    "ignored explicit argument %r": "não aceita o valor %r",
    "invalid %(type)s value: %(value)r": "%(value)r não é um número válido",
    "unrecognized arguments: %s": "argumentos inesperados: %r",
}


def endereco(addr: tuple) -> str:
    """HOST:PORTA, com colchetes quando é IPv6 (RFC 3986 § 3.2.2)."""
    return f"[{addr[0]}]:{addr[1]}" if ":" in addr[0] else f"{addr[0]}:{addr[1]}"


def narrar(linha: str) -> None:
    """Escreve a linha na saída padrão, na hora; SystemExit se não pode."""
    data = f"{linha}\n".encode(sys.stdout.encoding, "backslashreplace")
    with explicar("não foi possível escrever na saída padrão"):
        while data:  # sem o buffer do Python (-u), uma escrita pode parar no meio
            data = data[sys.stdout.buffer.write(data) :]
        sys.stdout.buffer.flush()


@contextlib.contextmanager
def explicar(falha: str) -> Iterator[None]:
    """Troca o erro do sistema por uma linha no stderr e o fim do programa com status 1."""
    try:
        yield
    except (OSError, UnicodeError) as exc:  # UnicodeError: nome de host impossível
        sys.stdout = None  # o Python não tenta de novo, ao terminar, o que não coube na saída
        sys.exit(f"{NOME}: erro: {falha}: {exc}{DICAS.get(getattr(exc, 'errno', None), '')}")


def ler_argumentos() -> argparse.Namespace:
    """Lê a linha de comando; SystemExit com status 2 se ela não serve."""
    argparse._ = lambda frase: PORTUGUES.get(frase, frase)
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.error = lambda erro: parser.exit(
        2, f"{NOME}: erro: {erro.removeprefix('argument ')} (veja --help)\n"
    )
    parser.print_help = lambda *_: narrar(parser.format_help().rstrip())
    opcao = parser.add_argument
    opcao("--host", default="127.0.0.1", help="endereço onde escutar (padrão: %(default)s)")
    opcao("--porta", type=int, default=7007, help="0: o sistema escolhe uma (padrão: %(default)s)")
    ajuda = "máximo de espera por uma mensagem (padrão: %(default)s)"
    opcao("--tempo-limite", type=float, default=30, metavar="SEGUNDOS", help=ajuda)
    ajuda = "atende uma conexão após a outra, até Ctrl+C (padrão: atende uma e termina)"
    opcao("-k", "--continuo", action="store_true", help=ajuda)
    args = parser.parse_args()
    if not 0 <= args.porta <= 65535:
        parser.error(f"--porta: {args.porta} não está entre 0 e 65535")
    if not 0 < args.tempo_limite < float("inf"):
        parser.error(f"--tempo-limite: {args.tempo_limite} não é um número finito acima de 0")
    args.tempo_limite = min(args.tempo_limite, ESPERA_MAXIMA)
    return args


def interromper(*_: object) -> None:
    """Termina na hora com 130 (128 + SIGINT), mesmo se a saída não anda ou o Ctrl+C se repete."""
    if os.isatty(2):
        os.write(2, b"\n")  # o terminal mostrou ^C e deixou o cursor ali
    os._exit(130)


def main() -> int:
    """Percorre os passos do servidor e devolve o status de saída."""
    signal.signal(signal.SIGINT, interromper)
    with explicar("não há saída padrão"):
        os.fstat(1)  # se ela veio fechada (>&-), o socket herdaria este descritor
    args = ler_argumentos()
    with escutar(args.host, args.porta) as serv_socket:
        narrar(f"Escutando em {endereco(serv_socket.getsockname())} (Ctrl+C encerra)")
        servir(serv_socket, args.tempo_limite, args.continuo)
    return 0


if __name__ == "__main__":
    sys.exit(main())
