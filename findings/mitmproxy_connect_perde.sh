#!/usr/bin/env bash
# SOFTWARE: mitmproxy 11.0.2 (o último que o Python 3.11 instala; visto igual no 12.3.1), como relé de TCP.
#
# O QUE SE ESPERARIA: um só mitmdump repassa os mesmos bytes do mesmo jeito, seja qual for a entrada: túnel
#   reverso (reverse:tcp), SOCKS5 ou CONNECT. Aberto o túnel, a camada que repassa é a mesma (TCPLayer), e ela
#   sabe meio-fechar; ainda mais com --ignore-hosts, que promete repassar sem mexer.
# O QUE ACONTECE: o cliente manda o pedido e faz shutdown(SHUT_WR); o servidor lê até o EOF e responde 0,5 s
#   depois. Por reverse:tcp e por SOCKS5 chegam os 5000 bytes. Por CONNECT, o modo padrão, chegam 0 bytes e um
#   fim limpo (EOF, sem reset) na hora, com o servidor ainda trabalhando; --ignore-hosts não muda nada. Por
#   dentro do CONNECT a meia-fechada vira fechada inteira, dos dois lados.
# POR QUE IMPORTA: trocar socks5:// por http:// na configuração do cliente parece inócuo, e quem testou o
#   protocolo por um modo conclui errado sobre o outro; o cliente lê «resposta vazia», não um erro.
# O QUE FAZER: para protocolo que usa a meia-fechada, entrar por SOCKS5 ou reverse:tcp; no protocolo próprio,
#   delimitar a mensagem por tamanho ou marca e só fechar depois de ler a resposta.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv "$d/v"
"$d/v/bin/pip" -q --disable-pip-version-check install mitmproxy==11.0.2 mitmproxy_rs==0.10.7 bcrypt==4.3.0
cat > "$d/prova.py" <<'PY'
import importlib.metadata as m, socket, struct, subprocess, sys, threading, time
print("versões:", sys.version.split()[0], *(f"{p} {m.version(p)}" for p in ("mitmproxy", "mitmproxy_rs")))
def ate_o_fim(c):
    n = 0
    try:
        while pedaco := c.recv(65536): n += len(pedaco)
        return n, "EOF"
    except OSError as e: return n, type(e).__name__
def servidor(escuta, nota):
    c, _ = escuta.accept()
    with c:
        c.settimeout(6); nota.append(ate_o_fim(c)); time.sleep(0.5)
        try: c.sendall(b"r" * 5000)
        except OSError: pass
def abre(modo, p, alvo):
    s = socket.create_connection(("127.0.0.1", p), 5); s.settimeout(6)
    if modo == "socks5":
        s.sendall(b"\5\1\0"); s.recv(2)
        s.sendall(b"\5\1\0\1\x7f\0\0\1" + struct.pack(">H", alvo)); assert s.recv(10)[1] == 0
    if modo == "connect":
        s.sendall(f"CONNECT 127.0.0.1:{alvo} HTTP/1.1\r\nHost: 127.0.0.1:{alvo}\r\n\r\n".encode()); r = b""
        while not r.endswith(b"\r\n\r\n"): r += s.recv(1)
        assert b" 200 " in r
    return s
visto, fora = {}, subprocess.DEVNULL
for ignora in [], ["--ignore-hosts", ".*"]:
    escuta = socket.create_server(("127.0.0.1", 0)); escuta.settimeout(10); alvo = escuta.getsockname()[1]
    livres = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    portas = dict(zip(("reverse", "socks5", "connect"), (x.getsockname()[1] for x in livres))); [x.close() for x in livres]
    modos = [f"reverse:tcp://127.0.0.1:{alvo}@{portas['reverse']}", f"socks5@{portas['socks5']}", f"regular@{portas['connect']}"]
    h = subprocess.Popen(["v/bin/mitmdump", "-q", "--listen-host", "127.0.0.1", "--set", "confdir=conf", *ignora,
                          *(a for x in modos for a in ("--mode", x))], stdout=fora, stderr=fora)
    try:
        for p in portas["socks5"], portas["connect"]:
            for _ in range(150):
                try: socket.create_connection(("127.0.0.1", p), 1).close(); break
                except OSError: time.sleep(0.1)
        for modo, p in portas.items():
            nota = []; t = threading.Thread(target=servidor, args=(escuta, nota), daemon=True); t.start()
            with abre(modo, p, alvo) as s:
                s.sendall(b"pedido"); s.shutdown(socket.SHUT_WR); t0 = time.monotonic(); lido = ate_o_fim(s); dt = time.monotonic() - t0
            t.join(8); visto[bool(ignora), modo] = (nota[0], lido)
            print(f"{'--ignore-hosts' if ignora else 'sem opção':14} {modo:7}: servidor leu {nota[0][0]} de 6 bytes, cliente leu {lido[0]} de 5000 e {lido[1]} em {dt:.1f} s")
    finally: h.terminate(); h.wait(10)
antes = {k: ((6, "EOF"), (0 if k[1] == "connect" else 5000, "EOF")) for k in visto}
mudou = {k: (antes[k], visto[k]) for k in antes if antes[k] != visto[k]}
print("MUDOU (antes, agora):" if mudou else "A surpresa continua: no mesmo processo, só o CONNECT perde a resposta.", mudou or "")
sys.exit(bool(mudou))
PY
cd "$d" && timeout 55 v/bin/python prova.py || { echo "MUDOU: a prova saiu com código $? (ver acima)"; exit 1; }
