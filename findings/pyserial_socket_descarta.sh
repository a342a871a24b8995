#!/usr/bin/env bash
# pySerial 3.5 (PyPI), socket://: read() joga fora o que chegou antes do fim da conexão.
#
# O que se esperaria: a ajuda de read(n) diz que, com prazo, ele pode devolver menos que n
#   bytes. Se o servidor manda 5 bytes e fecha, read(10) devolveria os 5, como o read(10) de
#   makefile(); ou, se acusasse o fim com exceção, os 5 ainda sairiam na leitura seguinte.
# O que acontece: com a conexão aberta, vencido o prazo, vêm os 5. Com ela fechada, o mesmo
#   read(10) levanta SerialException, e os 5 bytes, já tirados do socket, se perdem: pedir
#   read(5) em seguida também dá erro. O mesmo em readline() com a última linha sem
#   \n; e readlines() perde todas as linhas, mesmo as completas.
# Por que importa: quem troca a porta serial por TCP para testar sem o aparelho perde a
#   última resposta, e o erro "socket disconnected" faz crer que ela nunca foi mandada.
# O que fazer: pedir o tamanho exato, ou juntar byte a byte com read(1) até a exceção; no
#   protocolo, terminar toda mensagem com a marca de fim e só fechar depois de confirmada.
set -u
D=$(mktemp -d) || exit 2
trap 'rm -rf "$D"' EXIT
python3 -m venv "$D/v" &&
  timeout 300 "$D/v/bin/pip" install -q --disable-pip-version-check \
    pyserial==3.5 >"$D/pip.log" 2>&1 ||
  { cat "$D/pip.log"; echo "MUDOU: não deu para instalar"; exit 2; }
cat >"$D/prova.py" <<'PY'
import serial, socket
ouvinte = socket.create_server(("127.0.0.1", 0))
ouvinte.settimeout(10)
endereco = "127.0.0.1:%d" % ouvinte.getsockname()[1]

comum = lambda: socket.create_connection(ouvinte.getsockname(), 10).makefile("rb")
porta = lambda: serial.serial_for_url("socket://" + endereco, timeout=1)

def um_a_um(p):
    junto = b""
    try:
        while True: junto += p.read(1)
    except serial.SerialException: return junto

def tenta(nome, abre, dados, *leituras, fecha=True):
    p = abre()
    c, _de = ouvinte.accept()
    c.sendall(dados)
    if fecha: c.close()      # fim normal (FIN), depois de tudo enviado
    visto = []
    for ler in leituras:
        try: visto.append(repr(ler(p)))
        except OSError as e: visto.append(type(e).__name__)
    print(f"{nome}: {', depois '.join(visto)}")
    c.close()

ler10, ler5 = lambda p: p.read(10), lambda p: p.read(5)
linha, linhas = lambda p: p.readline(), lambda p: p.readlines()
tenta("makefile read(10)  ", comum, b"12345", ler10)
tenta("pySerial read(10)  ", porta, b"12345", ler10, ler5)
tenta("a mesma, aberta    ", porta, b"12345", ler10, fecha=False)
tenta("pySerial read(5)   ", porta, b"12345", ler5)
tenta("pySerial de 1 em 1 ", porta, b"12345", um_a_um)
tenta("makefile readline()", comum, b"oi\ntchau", linha, linha)
tenta("pySerial readline()", porta, b"oi\ntchau", linha, linha, ler5)
tenta("makefile readlines ", comum, b"oi\ntchau\n", linhas)
tenta("pySerial readlines ", porta, b"oi\ntchau\n", linhas, linhas)
PY
"$D/v/bin/python" -c 'import sys, serial
print("Python", sys.version.split()[0], "pySerial", serial.__version__)'
timeout 60 "$D/v/bin/python" "$D/prova.py" 2>&1 | tee "$D/visto"
cat >"$D/esperado" <<'F'
makefile read(10)  : b'12345'
pySerial read(10)  : SerialException, depois SerialException
a mesma, aberta    : b'12345'
pySerial read(5)   : b'12345'
pySerial de 1 em 1 : b'12345'
makefile readline(): b'oi\n', depois b'tchau'
pySerial readline(): b'oi\n', depois SerialException, depois SerialException
makefile readlines : [b'oi\n', b'tchau\n']
pySerial readlines : SerialException, depois SerialException
F
if diff "$D/esperado" "$D/visto"; then echo "AINDA É ASSIM: o que chegou se perde"; exit 0; fi
echo "MUDOU: ver as linhas acima (< o que se tinha visto, > o de agora)"; exit 1
