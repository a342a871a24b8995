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
DECODIFICADOR = codecs.getincrementaldecoder("utf-8")("replace")  # guarda um caractere partido
DICAS = {
    errno.ECONNREFUSED: " (conexão recusada: o servidor está escutando nesse endereço?)",
    errno.ECONNRESET: " (quem aceitou a conexão já se foi: o servidor, ou um programa no meio)",
    socket.EAI_NONAME: " (nome desconhecido: confira --host)",
}


def conectar(host: str, porta: int, tempo_limite: float) -> socket.socket:
    """Devolve um socket conectado (`tempo_limite` em segundos); levanta OSError, UnicodeError."""
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
        dica = DICAS.get(codigo, " (não se chegou lá: confira o endereço, a rede e o firewall)")
        falhas.append(f"{addr[0]}: erro {codigo}{dica}")
    raise ConnectionError(f"não foi possível conectar à porta {porta}: {'; '.join(falhas)}")


def conversar(client_socket: socket.socket, tempo_limite: float, mensagem: bytes) -> None:
    """Envia a mensagem e escreve a resposta (`tempo_limite` em segundos); levanta OSError."""
    client_socket.sendall(mensagem)  # passo 7
    recebidos, falta_o_fin, quebra = 0, True, b""
    try:
        while True:
            # Se nada chega (lista vazia), vai o FIN; mais cedo, um proxy o tomaria por um adeus.
            if falta_o_fin and not select.select([client_socket], [], [], tempo_limite / 10)[0]:
                client_socket.shutdown(socket.SHUT_WR)  # há quem só encerre depois dele (RFC 862)
                falta_o_fin = False  # um Mac recusa o segundo FIN
            if not (data := client_socket.recv(TAMANHO_DO_BLOCO)):  # passo 10
                break
            escrever(data)
            recebidos += len(data)
            quebra = b"" if data.endswith(b"\n") else b"\n"
    except socket.timeout as exc:
        raise OSError(f"nada chegou em {tempo_limite:g} s (o servidor está ocupado?)") from exc
    finally:
        escrever(quebra, so_na_tela=True)
    if recebidos < len(mensagem):
        raise ConnectionError(f"a resposta tem {recebidos} dos {len(mensagem)} bytes")


# Daqui para baixo, nada de rede: o que se lê, o que se mostra e a linha de comando.
def ler_mensagem(argumentos: list[str]) -> bytes:
    """Devolve os bytes do argumento, ou da entrada; levanta GetoptError, OSError, ValueError."""
    mensagem = b""
    if argumentos:
        mensagem = os.fsencode(argumentos[0])
    elif sys.stderr and sys.stdin and sys.stdin.isatty():  # uma pessoa, que vê a pergunta
        print("Mensagem: ", end="", file=sys.stderr, flush=True)
        mensagem = sys.stdin.readline().rstrip("\n").encode(errors="surrogateescape")
    elif sys.stdin is sys.__stdin__:  # um arquivo ou um pipe: até o fim, ou 1 byte além do bloco
        while data := os.read(0, TAMANHO_DO_BLOCO + 1 - len(mensagem)):
            mensagem += data
    else:  # o que um teste pôs no lugar da entrada: em bytes, se os tem
        lido = getattr(sys.stdin, "buffer", sys.stdin).read(TAMANHO_DO_BLOCO + 1)
        mensagem = lido if isinstance(lido, bytes) else lido.encode(errors="surrogateescape")
    if not 1 <= len(mensagem) <= TAMANHO_DO_BLOCO:
        raise getopt.GetoptError(f"a mensagem vai de 1 a 1024 bytes; lidos: {len(mensagem)}")
    return mensagem


def escrever(data: bytes, so_na_tela: bool = False) -> None:
    """Mostra texto em uma tela; a um arquivo ou pipe, dá bytes, sem buffer; levanta OSError."""
    if sys.stdout is not sys.__stdout__ or sys.stdout.isatty():  # um editor troca a saída
        texto = DECODIFICADOR.decode(data)
        tabela = getattr(sys.stdout, "encoding", None) or "utf-8"  # nem toda saída tem
        print(texto.encode(tabela, "backslashreplace").decode(tabela), end="", flush=True)
    elif not so_na_tela:
        while data:
            data = data[os.write(1, data) :]  # pode ter escrito só uma parte


def ler_argumentos(args: "list[str] | None") -> tuple[str, int, float, list[str]]:
    """Devolve host, porta, tempo limite em segundos e o resto; levanta GetoptError."""
    longas = ["host=", "porta=", "tempo-limite=", "help"]
    opcoes, resto = getopt.gnu_getopt(sys.argv[1:] if args is None else args, "h", longas)
    valor = {"--host": "127.0.0.1", "--porta": "7007", "--tempo-limite": "10", **dict(opcoes)}
    if "-h" in valor or "--help" in valor:
        escrever(__doc__.encode())
        sys.exit(0)
    if len(resto) > 1:
        raise getopt.GetoptError(f"várias mensagens, {resto!r}: ponha aspas duplas em volta")
    porta, limite = valor["--porta"], valor["--tempo-limite"]
    if not (porta.isdecimal() and len(porta) <= 5 and 1 <= int(porta) <= 65535):  # ou o int falha
        raise getopt.GetoptError(f"--porta {porta!r}: use um número inteiro de 1 a 65535")
    if not (limite.replace(".", "", 1).isdecimal() and 0 < float(limite) <= 86400):  # um dia
        raise getopt.GetoptError(f"--tempo-limite {limite!r}: use um número até 86400, como 0.5")
    return valor["--host"], int(porta), float(limite), resto


def main(args: "list[str] | None" = None) -> int:
    """Conversa com os argumentos, ou os do processo; dá o status; --help levanta SystemExit."""
    falha, status = "a saída falhou", 1
    try:
        if not sys.stdout:  # o próximo socket tomaria o lugar dela, o descritor 1
            raise OSError("está fechada")
        host, porta, tempo_limite, resto = ler_argumentos(args)
        falha = "não foi possível ler a mensagem"
        mensagem = ler_mensagem(resto)
        falha = f"a conversa com {host!r} falhou"
        with conectar(host, porta, tempo_limite) as client_socket:
            conversar(client_socket, tempo_limite, mensagem)
        return 0
    except getopt.GetoptError as exc:  # se tem .opt, veio do getopt, em inglês
        motivo = f"a opção {exc.opt!r} não serve (use como em --porta 7009; -- antes da mensagem)"
        erro, status = f"uso incorreto: {motivo if exc.opt else exc} (veja --help)", 2
    except (OSError, ValueError) as exc:  # ValueError: um nome de host ou um texto impossível
        erro = f"{falha}: {exc}{DICAS.get(getattr(exc, 'errno', 0), '')}"
    if sys.stderr:  # sem ele, o print escreveria na saída
        print(f"cliente_socket.py: erro: {erro}", file=sys.stderr)
    return status


def comando() -> int:
    """Roda o main em um processo só dele, que o Ctrl+C mata na hora; devolve o status."""
    # Um editor (que troca a saída) e o IPython (que tem o ps1) são donos do processo; o & de um
    # script manda ignorar o Ctrl+C; e ao processo 1, o de um contêiner, só chega o tratado.
    so_dele = sys.stdout is sys.__stdout__ and not hasattr(sys, "ps1")
    if so_dele and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        acao = signal.SIG_DFL if os.getpid() != 1 else lambda *_: sys.exit(130)
        signal.signal(signal.SIGINT, acao)
    return main()


if __name__ == "__main__":
    sys.exit(comando())
