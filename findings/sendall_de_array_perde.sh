#!/usr/bin/env bash
# gevent 26.9.0, eventlet 0.41.3 e trio 0.35.0 (PyPI): sendall()/send_all() de um
# array de inteiros volta sem erro e entrega só parte dos bytes.
# O que se esperaria: socket.sendall() do Python aceita um array.array('I', ...) e manda
#   todos os bytes; os dois substitutos do módulo socket fariam igual, e o send_all() do
#   trio, que aceita memoryview, também.
# O que acontece: os três contam o enviado em bytes, mas o tamanho e os cortes em
#   elementos. Se o núcleo aceita tudo de uma vez, sai certo (o teste pequeno passa); se
#   aceita só uma parte, pulam dados e param cedo, sem exceção.
# Por que importa: amostras ou pixels mandados por TCP chegam corrompidos só quando são
#   grandes ou a outra ponta é lenta, e quem envia acha que enviou tudo.
# O que fazer: dar sempre uma vista de bytes: memoryview(dados).cast("B").
set -u
D=$(mktemp -d) || exit 2
trap 'rm -rf "$D"' EXIT
python3 -m venv "$D/v" &&
  timeout 300 "$D/v/bin/pip" install -q --disable-pip-version-check \
    gevent==26.9.0 eventlet==0.41.3 trio==0.35.0 >"$D/pip.log" 2>&1 ||
  { cat "$D/pip.log"; echo "MUDOU: não deu para instalar"; exit 2; }
cat >"$D/prova.py" <<'PY'
import array, socket as puro, sys, threading, time
modo, forma, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
dados = array.array("I", range(n))
certo = dados.tobytes()
if forma == "vista":
    dados = memoryview(dados).cast("B")
ouvinte = puro.create_server(("127.0.0.1", 0))
ouvinte.setsockopt(puro.SOL_SOCKET, puro.SO_RCVBUF, 65536)
ouvinte.settimeout(10)
veio = []
def receptor():                     # começa devagar, como uma rede de verdade
    c, _de = ouvinte.accept(); c.settimeout(10)
    time.sleep(0.5)
    veio.append(b"".join(iter(lambda: c.recv(65536), b"")))
fio = threading.Thread(target=receptor, daemon=True)
fio.start()
if modo == "trio":
    import trio
    async def manda():
        s = await trio.open_tcp_stream(*ouvinte.getsockname())
        s.setsockopt(puro.SOL_SOCKET, puro.SO_SNDBUF, 65536)
        await s.send_all(memoryview(dados))
        await s.aclose()
    trio.run(manda)
else:
    socket = puro
    if modo == "gevent":
        from gevent import socket
    elif modo == "eventlet":
        from eventlet.green import socket
    s = socket.create_connection(ouvinte.getsockname(), 15)
    s.setsockopt(puro.SOL_SOCKET, puro.SO_SNDBUF, 65536)
    s.sendall(dados)                # nenhuma exceção em nenhum dos casos
    s.close()
fio.join(20)
chegou = "inteiro" if veio == [certo] else f"ERRADO, chegaram {len(veio[0])}"
print(f"{modo} {forma} de {len(certo)} bytes: {chegou}")
PY
"$D/v/bin/python" -c 'import sys, importlib.metadata as m
print("Python", sys.version.split()[0], *[p + " " + m.version(p) for p in ("gevent", "eventlet", "trio")])'
for m in puro gevent eventlet trio; do for caso in "array 100" "array 2000000" "vista 2000000"; do
  timeout 40 "$D/v/bin/python" -W ignore "$D/prova.py" $m $caso
done; done 2>&1 | tee "$D/visto"
for m in puro gevent eventlet trio; do
  G=ERRADO; [ $m = puro ] && G=inteiro
  printf "$m array de 400 bytes: inteiro\n$m array de 8000000 bytes: $G\n$m vista de 8000000 bytes: inteiro\n"
done >"$D/esperado"
if sed 's/, chegaram.*//' "$D/visto" | diff "$D/esperado" -; then
  echo "AINDA É ASSIM: só o Python puro entrega inteiro o array grande"; exit 0; fi
echo "MUDOU: ver as linhas acima (< o que se tinha visto, > o de agora)"; exit 1
