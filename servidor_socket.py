#!/usr/bin/env python3
"""Servidor TCP: devolve o primeiro bloco que lê e encerra sem perder a resposta.

uso: servidor_socket.py [opções]   (-h ou --help mostra isto)
  --host HOST              endereço onde escutar (padrão: 127.0.0.1)
  --porta PORTA            de 0 a 65535; 0: o sistema escolhe (padrão: 7007)
  --tempo-limite SEGUNDOS  espera pelo primeiro bloco, até 86400 (padrão: 30)
  -k, --continuo           uma conexão após a outra até Ctrl+C (padrão: só uma)
"""

import errno
import getopt
import os
import signal
import socket
import sys
import time

BACKLOG = 3  # conexões prontas que esperam o accept (o Linux guarda uma a mais)
TAMANHO_DO_BLOCO = 1024  # bytes: o máximo de cada recv, e portanto do eco
ESPERA_PELO_FIM = 1.0  # segundos, depois do eco, para o cliente encerrar o lado dele
DICAS = {
    errno.EADDRINUSE: " (a porta está em uso: escolha outra com --porta)",
    errno.EADDRNOTAVAIL: " (o endereço não é desta máquina: confira --host)",
    socket.EAI_NONAME: " (nome desconhecido: confira --host)",
}


def servir(host: str, porta: int, tempo_limite: float, continuo: bool) -> int:
    """Atende uma conexão, ou uma após a outra; dá o status, ou levanta OSError, UnicodeError."""
    familia, tipo, proto, _, addr = socket.getaddrinfo(host, porta, type=socket.SOCK_STREAM)[0]
    with socket.socket(familia, tipo, proto) as serv_socket:  # passo 1
        if os.name == "posix":  # no Windows, deixaria outro programa tomar a porta em uso
            # Sem isto, uma conexão em TIME-WAIT (RFC 9293 § 3.3.2) impede voltar à porta.
            serv_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        serv_socket.bind(addr)  # passo 2
        serv_socket.listen(BACKLOG)  # passo 3
        escrever(f"Escutando em {endereco(serv_socket.getsockname())} (Ctrl+C encerra)\n")
        while True:
            try:
                conn, cliente = serv_socket.accept()  # passo 4
            except ConnectionError:
                continue  # quem estava na fila desistiu (no Linux, quem avisa é o recv)
            with conn:  # que se fecha também se algo aqui falha
                quem = endereco(cliente) if cliente else "cliente que já saiu"  # no macOS
                escrever(f"{quem}: conexão aceita\n", so_na_tela=True)  # em um pipe, só o relato
                relato, status = atender(conn, tempo_limite)
            escrever(f"{quem}: {relato}\n")
            if not continuo:
                return status


def atender(conn: socket.socket, tempo_limite: float) -> tuple[str, int]:
    """Espera um bloco por até `tempo_limite` segundos, ecoa-o, e devolve o relato e o status."""
    data = b""
    conn.settimeout(tempo_limite)
    try:
        # O TCP leva bytes, e não mensagens: um recv pode trazer só o começo do que foi enviado.
        data = conn.recv(TAMANHO_DO_BLOCO)  # passo 8
        conn.sendall(data)  # passo 9
        fim, status = encerrar(conn), 0
    except socket.timeout:  # a partir do Python 3.10, outro nome de TimeoutError
        fim, status = f"tempo limite de {tempo_limite:g} s esgotado", 1
    except OSError as exc:
        fim, status = f"conexão perdida ({exc})", 1
    conn.close()  # passo 11
    # O repr (!r) escapa a quebra que forjaria uma linha; o byte ff, que não é UTF-8, vira \udcff.
    return f"bytes lidos: {len(data)}, {data.decode(errors='surrogateescape')!r}, {fim}", status


def encerrar(conn: socket.socket) -> str:
    """Envia o FIN, descarta o que vem até o do cliente e diz como foi; levanta OSError."""
    conn.shutdown(socket.SHUT_WR)
    # Fechar com bytes não lidos dá um reset (RFC 9293 § 3.6.1): o cliente não sabe se leu tudo.
    prazo = time.monotonic() + ESPERA_PELO_FIM
    conn.settimeout(ESPERA_PELO_FIM)
    descartados, fim = 0, "fim limpo"
    try:
        while data := conn.recv(TAMANHO_DO_BLOCO):
            descartados += len(data)
            if time.monotonic() > prazo:
                raise socket.timeout  # quem não para de enviar também não encerrou
    except socket.timeout:
        fim = f"o cliente não encerrou em {ESPERA_PELO_FIM:g} s"
    return f"bytes descartados: {descartados}, {fim}" if descartados else fim


def endereco(addr: tuple[str, int]) -> str:
    """HOST:PORTA, com colchetes quando é IPv6 (RFC 3986 § 3.2.2)."""
    host, porta = addr[:2]  # no IPv6 há mais dois números
    return f"[{host}]:{porta}" if ":" in host else f"{host}:{porta}"


# Daqui para baixo, nada de rede: o que se mostra e a linha de comando.
def escrever(texto: str, so_na_tela: bool = False) -> None:
    """Mostra texto em uma tela; a um arquivo ou pipe, dá bytes, sem buffer; levanta OSError."""
    if sys.stdout is not sys.__stdout__ or sys.stdout.isatty():  # um editor troca a saída
        tabela = getattr(sys.stdout, "encoding", None) or "utf-8"  # nem toda saída tem
        print(texto.encode(tabela, "backslashreplace").decode(tabela), end="", flush=True)
    elif not so_na_tela:
        data = texto.encode()
        while data:
            data = data[os.write(1, data) :]  # pode ter escrito só uma parte


def ler_argumentos(args: "list[str] | None") -> tuple[str, int, float, bool]:
    """Devolve host, porta, tempo limite em segundos e se é contínuo; levanta GetoptError."""
    longas = ["host=", "porta=", "tempo-limite=", "continuo", "help"]
    opcoes, resto = getopt.gnu_getopt(sys.argv[1:] if args is None else args, "kh", longas)
    valor = {"--host": "127.0.0.1", "--porta": "7007", "--tempo-limite": "30", **dict(opcoes)}
    if "-h" in valor or "--help" in valor:
        escrever(__doc__)
        sys.exit(0)
    if resto:
        raise getopt.GetoptError(f"argumento inesperado, {resto[0]!r}: cada opção começa com --")
    porta, limite = valor["--porta"], valor["--tempo-limite"]
    if not (porta.isdecimal() and len(porta) <= 5 and int(porta) <= 65535):  # ou o int falha
        raise getopt.GetoptError(f"--porta {porta!r}: use um número inteiro de 0 a 65535")
    if not (limite.replace(".", "", 1).isdecimal() and 0 < float(limite) <= 86400):  # um dia
        raise getopt.GetoptError(f"--tempo-limite {limite!r}: use um número até 86400, como 0.5")
    return valor["--host"], int(porta), float(limite), "-k" in valor or "--continuo" in valor


def main(args: "list[str] | None" = None) -> int:
    """Serve com os argumentos, ou os do processo; devolve o status; --help levanta SystemExit."""
    falha, status = "a saída falhou", 1
    try:
        if not sys.stdout:  # o próximo socket tomaria o lugar dela, o descritor 1
            raise OSError("está fechada")
        opcoes = ler_argumentos(args)
        falha = f"o servidor em {opcoes[0]!r} falhou"
        return servir(*opcoes)
    except getopt.GetoptError as exc:  # se tem .opt, veio do getopt, em inglês
        motivo = f"a opção {exc.opt!r} não serve (use como em --porta 7009)"
        erro, status = f"uso incorreto: {motivo if exc.opt else exc} (veja --help)", 2
    except (OSError, ValueError) as exc:  # ValueError: um nome de host impossível
        erro = f"{falha}: {exc}{DICAS.get(getattr(exc, 'errno', 0), '')}"
    if sys.stderr:  # sem ele, o print escreveria na saída
        print(f"servidor_socket.py: erro: {erro}", file=sys.stderr)
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
