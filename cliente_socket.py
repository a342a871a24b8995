#!/usr/bin/env python3
"""Cliente TCP: envia uma mensagem e escreve na saída a resposta, até o fim dela.

uso: cliente_socket.py [opções] [--] [MENSAGEM]   (-h ou --help mostra isto)
  MENSAGEM                 até 1024 bytes (padrão: pergunta ou lê a entrada)
  --host HOST              onde está o servidor (padrão: 127.0.0.1)
  --porta PORTA            de 1 a 65535 (padrão: 7007)
  --tempo-limite SEGUNDOS  cada espera pelo servidor, até 86400 (padrão: 10)
"""

import codecs
import errno
import getopt
import os
import select
import signal
import socket
import sys

TAMANHO_DO_BLOCO = 1024  # bytes: o máximo da mensagem (o eco não passa disso) e de cada recv
TERMINAL = sys.stdout.isatty()  # se a saída é um terminal, e não um arquivo ou um pipe
DECODIFICADOR = codecs.getincrementaldecoder("utf-8")("replace")  # guarda um caractere partido
MOTIVOS = {  # EWOULDBLOCK é como o connect_ex diz que o tempo limite acabou
    errno.ECONNREFUSED: "conexão recusada (o servidor está escutando nesse endereço?)",
    errno.EWOULDBLOCK: "tempo limite esgotado (confira o endereço, o firewall e --tempo-limite)",
    errno.EADDRNOTAVAIL: "não se chega daqui a esse endereço (use o da máquina do servidor)",
}


def conectar(host: str, porta: int, tempo_limite: float) -> socket.socket:
    """Devolve um socket conectado (`tempo_limite` em segundos); ou OSError, UnicodeError."""
    nome = host.encode("ascii" if host.isascii() else "idna")  # em ASCII, poupa carregar o idna
    falhas = []
    for familia, tipo, proto, _, addr in socket.getaddrinfo(nome, porta, type=socket.SOCK_STREAM):
        try:
            client_socket = socket.socket(familia, tipo, proto)  # passo 5
            client_socket.settimeout(tempo_limite)
            codigo = client_socket.connect_ex(addr)  # passo 6
            if codigo == 0:
                return client_socket
            client_socket.close()
        except OSError as exc:  # sem IPv6 no sistema, o socket do ::1 nem se cria
            codigo = exc.errno or 0
        motivo = MOTIVOS.get(codigo, "confira o endereço, o firewall e a VPN")
        falhas.append(f"{addr[0]}: erro {codigo}, {motivo}")
    raise ConnectionError(f"não foi possível conectar à porta {porta}: {'; '.join(falhas)}")


def conversar(host: str, porta: int, tempo_limite: float, mensagem: bytes) -> None:
    """Conecta-se, envia a mensagem e escreve a resposta; ou OSError, UnicodeError."""
    with conectar(host, porta, tempo_limite) as client_socket:
        client_socket.sendall(mensagem)  # passo 7
        recebidos = receber(client_socket, tempo_limite)
    if recebidos < len(mensagem):
        raise ConnectionError(f"a resposta tem {recebidos} dos {len(mensagem)} bytes")


def receber(client_socket: socket.socket, tempo_limite: float) -> int:
    """Escreve a resposta conforme chega, e devolve quantos bytes vieram; se falha, OSError."""
    recebidos = 0
    falta_a_quebra = False
    falta_o_fin = True
    try:
        while True:
            # Se nada chega, a lista é vazia, e vai o FIN; antes, um proxy o tomaria por um adeus.
            if falta_o_fin and not select.select([client_socket], [], [], tempo_limite / 10)[0]:
                client_socket.shutdown(socket.SHUT_WR)  # há quem só encerre depois dele (RFC 862)
                falta_o_fin = False  # um Mac recusa o segundo
            data = client_socket.recv(TAMANHO_DO_BLOCO)  # passo 10
            if not data:
                return recebidos
            escrever(data)
            recebidos += len(data)
            falta_a_quebra = not data.endswith(b"\n")
    finally:
        if falta_a_quebra:
            escrever(b"\n", so_a_pessoas=True)


# Daqui para baixo, nada de rede: o que se lê, o que se mostra e a linha de comando.
def ler_mensagem(argumentos: list[str]) -> bytes:
    """Devolve os bytes do argumento, ou os lidos; ou GetoptError, OSError, UnicodeError."""
    mensagem = b""
    if argumentos:
        mensagem = os.fsencode(argumentos[0])
    elif sys.stderr and sys.stdin and sys.stdin.isatty():  # uma pessoa, que vê a pergunta
        print("Mensagem: ", end="", file=sys.stderr, flush=True)
        mensagem = sys.stdin.readline().rstrip("\n").encode(errors="surrogateescape")
    elif sys.stdin is not sys.__stdin__:  # quem chamou o main pôs outra entrada no lugar
        mensagem = sys.stdin.read().encode(errors="surrogateescape")
    else:  # um arquivo ou um pipe: até o fim, ou até 1 byte além do bloco
        while data := os.read(0, TAMANHO_DO_BLOCO + 1 - len(mensagem)):
            mensagem += data
    if not 1 <= len(mensagem) <= TAMANHO_DO_BLOCO:
        raise getopt.GetoptError(f"a mensagem vai de 1 a 1024 bytes; lidos: {len(mensagem)}")
    return mensagem


def escrever(data: bytes, so_a_pessoas: bool = False) -> None:
    """Mostra texto a uma pessoa; a um programa, dá bytes, sem buffer, ou nada; ou OSError."""
    uma_pessoa_le = TERMINAL or sys.stdout is not sys.__stdout__  # a janela de um editor
    if uma_pessoa_le:
        print(DECODIFICADOR.decode(data), end="", flush=True)
    elif not so_a_pessoas:
        while data:
            data = data[os.write(1, data) :]  # pode ter escrito só uma parte


def ler_argumentos() -> tuple[str, int, float, list[str]]:
    """Devolve host, porta, tempo limite em segundos e o que não é opção; ou GetoptError."""
    longas = ["host=", "porta=", "tempo-limite=", "help"]
    opcoes, resto = getopt.gnu_getopt(sys.argv[1:], "h", longas)
    valores = {"--host": "127.0.0.1", "--porta": "7007", "--tempo-limite": "10", **dict(opcoes)}
    if "-h" in valores or "--help" in valores:
        escrever(__doc__.encode())
        sys.exit(0)
    if len(resto) > 1:
        raise getopt.GetoptError(f"várias mensagens, {resto!r}: use aspas, ou -- nas opções")
    porta, limite = valores["--porta"], valores["--tempo-limite"]
    if not (porta.isdecimal() and len(porta) <= 5 and 1 <= int(porta) <= 65535):
        raise getopt.GetoptError(f"--porta {porta!r}: use um número inteiro de 1 a 65535")
    if not (limite.replace(".", "", 1).isdecimal() and 0 < float(limite) <= 86400):
        raise getopt.GetoptError(f"--tempo-limite {limite!r}: use um número até 86400, como 0.5")
    return valores["--host"], int(porta), float(limite), resto


def main() -> int:
    """Lê os argumentos e roda o cliente; conta em uma linha o que falhou; devolve o status."""
    if os.getpid() != 1 and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl+C mata na hora, e o shell sabe disso
    host = ""
    try:
        host, porta, tempo_limite, argumentos = ler_argumentos()
        conversar(host, porta, tempo_limite, ler_mensagem(argumentos))
        return 0
    except KeyboardInterrupt:  # só no processo 1, a quem a ação padrão do sinal não chega
        return 130
    except getopt.GetoptError as exc:
        erro, status = f"uso incorreto: {exc} (veja --help)", 2
    except socket.timeout:
        erro, status = f"a conversa com {host!r} falhou: tempo limite esgotado", 1
    except (OSError, UnicodeError) as exc:  # o nome que não existe é um OSError
        erro, status = f"a conversa com {host!r} falhou: {exc}", 1
    if sys.stderr:  # sem ele, o print escreveria na saída
        print(f"{os.path.basename(sys.argv[0])}: erro: {erro}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
