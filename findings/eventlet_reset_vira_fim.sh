#!/usr/bin/env bash
# eventlet 0.41.3 (PyPI): um RST da outra ponta vira fim de dados normal em recv().
#
# O que se esperaria: o soquete verde do eventlet se diz 100% compatível com
#   socket.socket; quando a outra ponta derruba a conexão no meio da resposta
#   (RST), recv() levantaria ConnectionResetError, como no Python puro e no gevent.
# O que acontece: com soquete bloqueante ou com prazo, recv() devolve b"" e o read()
#   de makefile() termina como em fim normal, sem exceção nenhuma. Só depois de
#   settimeout(0) o mesmo soquete levanta ConnectionResetError.
# Por que importa: o laço "lê até b''" toma resposta cortada por resposta inteira;
#   o mesmo programa acusa o erro sem eventlet e o esconde com ele.
# O que fazer: não tomar b"" por "chegou tudo"; combinar tamanho ou marca de fim no
#   protocolo e conferir. Em teste de queda, não contar com a exceção sob eventlet.
set -u
D=$(mktemp -d) || exit 2
trap 'rm -rf "$D"' EXIT
python3 -m venv "$D/v" &&
  timeout 300 "$D/v/bin/pip" install -q --disable-pip-version-check \
    eventlet==0.41.3 gevent==26.9.0 >"$D/pip.log" 2>&1 ||
  { cat "$D/pip.log"; echo "MUDOU: não deu para instalar"; exit 2; }
cat >"$D/prova.py" <<'PY'
import socket as puro, struct, sys, threading, time
modo = sys.argv[1]
if modo == "eventlet":
    from eventlet.green import socket
elif modo == "gevent":
    from gevent import socket
else:
    import socket
ouvinte = puro.create_server(("127.0.0.1", 0))
ouvinte.settimeout(10)

def servidor():      # manda metade, espera o cliente confirmar que leu e derruba com RST
    for _ in range(3):
        c, _de = ouvinte.accept()
        c.settimeout(10)
        c.sendall(b"metade")
        c.recv(2)
        c.setsockopt(puro.SOL_SOCKET, puro.SO_LINGER, struct.pack("ii", 1, 0))
        c.close()

def tenta(nome, ler, prazo=10):
    s = socket.create_connection(ouvinte.getsockname(), 10)
    antes = s.recv(6)
    s.sendall(b"ok")
    time.sleep(0.5)  # tempo de sobra para o RST chegar
    s.settimeout(prazo)
    try:
        depois = repr(ler(s))
    except OSError as e:
        depois = type(e).__name__
    print(f"{modo:8} {nome}: {antes!r}, depois {depois}")

threading.Thread(target=servidor, daemon=True).start()
tenta("recv", lambda s: s.recv(100))
tenta("makefile", lambda s: s.makefile("rb").read())
tenta("recv com settimeout(0)", lambda s: s.recv(100), 0)
PY
"$D/v/bin/python" -c 'import sys, importlib.metadata as m
print("Python", sys.version.split()[0], *[p + " " + m.version(p) for p in ("eventlet", "gevent")])'
for m in puro gevent eventlet; do
  timeout 30 "$D/v/bin/python" -W ignore "$D/prova.py" $m
done 2>&1 | tee "$D/visto"
E="ConnectionResetError"
for m in puro gevent eventlet; do
  R=$E; [ $m = eventlet ] && R="b''"
  printf "%-8s %s: b'metade', depois %s\n" $m recv "$R" $m makefile "$R" $m "recv com settimeout(0)" $E
done >"$D/esperado"
if diff "$D/esperado" "$D/visto"; then echo "AINDA É ASSIM: sob eventlet o RST vira fim de dados"; exit 0; fi
echo "MUDOU: ver as linhas acima (< o que se tinha visto, > o de agora)"; exit 1
