#!/usr/bin/env python3
"""Cliente TCP: conecta-se, envia uma mensagem, lê a resposta até o fim e a escreve na saída."""

import argparse
import contextlib
import errno
import functools
import os
import signal
import socket
import sys
from collections.abc import Iterator

TAMANHO_DO_BLOCO = 1024  # bytes: o máximo da mensagem (o servidor não lê mais) e de cada recv


def conectar(host: str, porta: int, tempo_limite: float) -> socket.socket:
    """Devolve um socket conectado ao primeiro endereço do host que aceita; SystemExit se nenhum.

    `tempo_limite`, em segundos, vale para cada tentativa e depois para cada espera do socket.
    """
    with explicar(f"não foi possível encontrar o host {host!r} (confira --host)"):
        nome = host.encode("ascii" if host.isascii() else "idna")  # só acentos carregam o idna
        enderecos = socket.getaddrinfo(nome, porta, type=socket.SOCK_STREAM)
    falhas = []
    for familia, tipo, proto, _, addr in enderecos:
        try:
            client_socket = socket.socket(familia, tipo, proto)
        except OSError as exc:  # esta máquina não tem a família: IPv6 desligado, por exemplo
            falhas.append(f"{endereco(addr)}: {exc}")
            continue
        client_socket.settimeout(tempo_limite)
        codigo = client_socket.connect_ex(addr)
        if codigo == 0:
            return client_socket
        client_socket.close()
        if codigo == errno.EWOULDBLOCK:  # assim o connect_ex conta que o tempo limite esgotou
            codigo = errno.ETIMEDOUT
        falhas.append(f"{endereco(addr)}: {os.strerror(codigo)}{DICAS.get(codigo, '')}")
    sys.exit(f"{NOME}: erro: não foi possível conectar a {'; '.join(falhas)}")


def conversar(client_socket: socket.socket, mensagem: bytes) -> None:
    """Envia a mensagem, escreve a resposta e encerra; OSError se a conversa não vai até o fim."""
    try:
        client_socket.sendall(mensagem)
        # Sem este fim, um eco que lê até ele (RFC 862) esperaria por nós, e nós por ele.
        client_socket.shutdown(socket.SHUT_WR)
    except OSError:
        receber(client_socket)  # o que chegou antes da falha não se perde
        raise
    else:
        recebidos = receber(client_socket)
    finally:
        client_socket.close()
    if recebidos < len(mensagem):
        raise ConnectionError(f"a resposta tem {recebidos} dos {len(mensagem)} bytes da mensagem")


def receber(client_socket: socket.socket) -> int:
    """Escreve a resposta conforme chega, até o fim dela; devolve quantos bytes ela tem."""
    recebidos, fim_de_linha = 0, True
    try:
        while data := client_socket.recv(TAMANHO_DO_BLOCO):
            escrever(data)
            recebidos, fim_de_linha = recebidos + len(data), data.endswith(b"\n")
    finally:
        if not fim_de_linha and os.isatty(1):
            os.write(1, b"\n")
    return recebidos


# Daqui para baixo, nada de rede: o que se lê, o que se escreve e a linha de comando.

NOME = os.path.basename(sys.argv[0])
DICAS = {
    errno.ECONNREFUSED: " (o servidor está escutando nesse endereço?)",
    errno.ETIMEDOUT: " (tempo limite esgotado: confira o endereço ou aumente --tempo-limite)",
}
ESPERA_MAXIMA = 2147483.0  # segundos: o sistema conta milissegundos em 31 bits
PORTUGUES = {  # o que o argparse diria em inglês
    "usage: ": "uso: ",
    "options": "opções",
    "positional arguments": "argumentos",
    "show this help message and exit": "mostra esta ajuda e termina",
    "expected one argument": "falta o valor",
    "ignored explicit argument %r": "não aceita o valor %r",
    "invalid %(type)s value: %(value)r": "%(value)r não é um número válido",
    "unrecognized arguments: %s": "argumentos inesperados: %r; mensagem com espaços pede aspas",
}


def ler_mensagem(argumento: str | None) -> bytes:
    """Lê a mensagem do argumento, do teclado ou da entrada (no máximo 1 byte além do bloco)."""
    if argumento is not None:
        return argumento.encode(errors="surrogateescape")
    with explicar("não foi possível ler a mensagem"):
        if not os.isatty(0):
            with open(0, "rb", closefd=False) as entrada:
                return entrada.read(TAMANHO_DO_BLOCO + 1)
        os.write(2, b"Mensagem: ")
        sys.stdin.reconfigure(errors="surrogateescape")
        linha = sys.stdin.readline()
        if not linha.endswith("\n"):
            os.write(2, b"\n")  # Ctrl+D deixou o cursor na linha da pergunta
        return linha.removesuffix("\n").encode(errors="surrogateescape")


def endereco(addr: tuple) -> str:
    """HOST:PORTA, com colchetes quando é IPv6 (RFC 3986 § 3.2.2)."""
    return f"[{addr[0]}]:{addr[1]}" if ":" in addr[0] else f"{addr[0]}:{addr[1]}"


def escrever(data: bytes) -> None:
    """Escreve os bytes na saída padrão, na hora e como vieram; SystemExit se não pode."""
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
        motivo = f"tempo limite esgotado ({exc})" if isinstance(exc, TimeoutError) else exc
        sys.exit(f"{NOME}: erro: {falha}: {motivo}")


def ler_argumentos() -> argparse.Namespace:
    """Lê a linha de comando e a mensagem; SystemExit com status 2 se não servem."""
    argparse._ = lambda frase: PORTUGUES.get(frase, frase)
    # Com a largura dada, o argparse não carrega módulos só para procurá-la.
    formato = functools.partial(argparse.HelpFormatter, width=80)
    parser = argparse.ArgumentParser(
        description=__doc__, allow_abbrev=False, formatter_class=formato
    )
    parser.error = lambda erro: parser.exit(
        2, f"{NOME}: erro: {erro.removeprefix('argument ')} (veja --help)\n"
    )
    parser.print_help = lambda *_: escrever(parser.format_help().encode())
    opcao = parser.add_argument
    opcao("--host", default="127.0.0.1", help="onde está o servidor (padrão: %(default)s)")
    opcao("--porta", type=int, default=7007, help="de 1 a 65535 (padrão: %(default)s)")
    ajuda = "máximo de cada espera: conexão, envio e cada pedaço da resposta (padrão: %(default)s)"
    opcao("--tempo-limite", type=float, default=10, metavar="SEGUNDOS", help=ajuda)
    ajuda = f"de 1 a {TAMANHO_DO_BLOCO} bytes; se começa com -, ponha -- antes"
    ajuda += " (padrão: pergunta ou lê a entrada)"
    opcao("mensagem", nargs="?", metavar="MENSAGEM", help=ajuda)
    args = parser.parse_args()
    if not 1 <= args.porta <= 65535:
        parser.error(f"--porta: {args.porta} não está entre 1 e 65535")
    if not 0 < args.tempo_limite < float("inf"):
        parser.error(f"--tempo-limite: {args.tempo_limite} não é um número finito acima de 0")
    args.tempo_limite = min(args.tempo_limite, ESPERA_MAXIMA)
    mensagem = ler_mensagem(args.mensagem)
    if not 1 <= len(mensagem) <= TAMANHO_DO_BLOCO:
        mais = " ou mais" if mensagem and args.mensagem is None else ""
        tamanho = f"{len(mensagem)} bytes{mais}"
        parser.error(f"a mensagem tem {tamanho}; o servidor lê de 1 a {TAMANHO_DO_BLOCO}")
    args.mensagem = mensagem
    return args


def interromper(*_: object) -> None:
    """Termina na hora com 130 (128 + SIGINT), mesmo se a saída não anda ou o Ctrl+C se repete."""
    if os.isatty(2):
        os.write(2, b"\n")  # o terminal mostrou ^C e deixou o cursor ali
    os._exit(130)


def main() -> int:
    """Percorre os passos do cliente e devolve o status de saída."""
    signal.signal(signal.SIGINT, interromper)
    with explicar("não há saída padrão"):
        os.fstat(1)  # se ela veio fechada (>&-), o socket herdaria este descritor
    args = ler_argumentos()
    client_socket = conectar(args.host, args.porta, args.tempo_limite)
    with explicar(f"a conversa com {endereco((args.host, args.porta))} falhou"):
        conversar(client_socket, args.mensagem)
    return 0


if __name__ == "__main__":
    sys.exit(main())
