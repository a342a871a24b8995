"""O README diz a verdade: seus blocos rodam, e o que ele conta do código está no código."""

import contextlib
import importlib
import inspect
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from apoio import CLIENTE, PYTHON, RAIZ, SERVIDOR, copiar, rodar, rodar_cliente
from maquina import linux, pode_rodar, unix
from rede import esperar_ate
from terminal import Terminal

import servidor_socket

README = (RAIZ / "README.md").read_text(encoding="utf-8")
SCRIPTS = {"servidor": SERVIDOR, "cliente": CLIENTE}
# Cada bloco: a linguagem e o texto. Depois de um sh, o bloco text é o que se deve ver.
BLOCOS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
EXECUTAVEIS = [
    (comando, saida)
    for (lingua, comando), (seguinte, saida) in zip(BLOCOS, BLOCOS[1:])
    if (lingua, seguinte) == ("sh", "text")
]


def textos(lingua: str) -> list[str]:
    return [texto for uma, texto in BLOCOS if uma == lingua]


def conferir(visto: str, saida: str) -> None:
    """Falha se as linhas vistas não são as do README, onde … é um trecho qualquer."""

    def sem_o_que_varia(texto: str) -> list[str]:
        com_a_porta_do_readme = re.sub(r"\b\d{5}\b", "48080", texto)
        return [" ".join(linha.split()) for linha in com_a_porta_do_readme.splitlines()]

    linhas, esperadas = sem_o_que_varia(visto), sem_o_que_varia(saida)
    assert len(linhas) == len(esperadas), visto
    for linha, esperada in zip(linhas, esperadas):
        comeco, reticencias, fim = esperada.partition("…")
        assert linha.startswith(comeco), visto
        assert linha.endswith(fim) if reticencias else linha == comeco, visto


def como_quem_le() -> dict[str, str]:
    """O ambiente de quem cola um bloco: sem as variáveis do Python e da rede de quem o testa."""
    ambiente = {
        nome: valor
        for nome, valor in os.environ.items()
        if not nome.startswith("PYTHON") and "proxy" not in nome.lower()
    }
    return {**ambiente, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"}


@pytest.fixture(scope="module")
def rede_propria() -> tuple[str, ...]:
    """O começo de um comando que roda em uma rede só dele, se o Linux deixa; senão, ()."""
    comando = ("unshare", "--user", "--map-root-user", "--net")
    comando += ("sh", "-c", 'ip link set lo up && exec "$@"', "sh")
    return comando if pode_rodar(*comando) else ()


@pytest.fixture
def copia_do_projeto(tmp_path) -> Path:
    """Os dois scripts, em uma pasta nova."""
    for script in SCRIPTS.values():
        copiar(script, tmp_path / "projeto")
    return tmp_path / "projeto"


def ocupada(porta: str, com_reuso: bool) -> bool:
    with socket.socket() as outro:
        outro.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, com_reuso)
        try:
            outro.bind(("127.0.0.1", int(porta)))
        except OSError:
            return True
    return False


def pular_o_que_falta(comando: str, rede_propria: tuple, com_reuso: bool = True) -> None:
    if "nc " in comando:  # o de outros sistemas sai sem ler o resto
        nc = rodar("nc", "-h") if shutil.which("nc") else None
        if not nc or b"Detach from stdin" not in nc.stderr + nc.stdout:
            pytest.skip("não há o nc do OpenBSD aqui")
    if not rede_propria:
        for porta in {"7007", *re.findall(r"\b(7008|8000)\b", comando)}:
            if ocupada(porta, com_reuso):
                pytest.skip(f"a porta {porta} está em uso, e não há outra rede (unshare e ip)")


@unix
@pytest.mark.parametrize(("comando", "saida"), EXECUTAVEIS)
def test_cada_bloco_sh_mostra_o_que_o_texto_diz_e_nao_deixa_nada(
    comando, saida, abrir, copia_do_projeto, rede_propria, com_este_python
):
    pular_o_que_falta(comando, rede_propria)
    antes = sorted(copia_do_projeto.rglob("*"))
    como = {
        "cwd": copia_do_projeto,
        "env": com_este_python(como_quem_le()),
        "stderr": subprocess.STDOUT,
    }
    processo = abrir(*rede_propria, "sh", "-c", comando, start_new_session=True, **como)
    try:
        # A saída só acaba quando acabam os processos que a têm; o grupo, quando acabam todos.
        visto = processo.resto()
        assert processo.wait() == 0, visto
        esperar_ate(lambda: acabou(processo.pid))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(processo.pid, signal.SIGKILL)
    assert sorted(copia_do_projeto.rglob("*")) == antes
    conferir(visto, saida)


def acabou(grupo: int) -> bool:
    try:
        os.killpg(grupo, 0)
    except (ProcessLookupError, PermissionError) as exc:  # no macOS, se só há zumbis, esta última
        return isinstance(exc, ProcessLookupError)
    return False


@linux
def test_os_dois_terminais_mostram_o_que_o_texto_diz(
    abrir, terminal, copia_do_projeto, com_este_python
):
    do_servidor, do_cliente, do_servidor_depois = textos("console")
    iniciar_o_servidor, _ = do_servidor.splitlines()
    iniciar_o_cliente, pergunta, _ = do_cliente.splitlines()

    como = {"cwd": copia_do_projeto, "env": com_este_python()}
    # A porta é outra, para que a 7007 possa estar em uso por quem roda os testes.
    with contextlib.closing(Terminal()) as outro:
        comando = (iniciar_o_servidor.removeprefix("$ "), "--porta", "0")
        servidor = abrir(*comando, **como, **terminal.pontas())
        comando = (iniciar_o_cliente.removeprefix("$ "), "--porta", str(terminal.porta()))
        cliente = abrir(*comando, **como, **outro.pontas())
        outro.esperar("Mensagem: ")
        outro.digitar(pergunta.removeprefix("Mensagem: ").encode() + b"\n")
        assert (cliente.wait(), servidor.wait()) == (0, 0)
        telas = (terminal.tela(), outro.tela())

    for tela, texto in zip(telas, (do_servidor + do_servidor_depois, do_cliente)):
        mostrado = re.sub(r"^\$ .*\n", "", texto, flags=re.MULTILINE)
        conferir(tela, mostrado.replace("7007", "48080"))


# No /proc/net/tcp, a porta 7008 e o estado dela.
ESPERAR = {
    estado: f"until grep -q ':1B60 [0-9A-F:]* {codigo} ' /proc/net/tcp; do sleep 0.01; done"
    for estado, codigo in (("LISTEN", "0A"), ("ESTABLISHED", "01"))
}


# Uma solução de cada exercício: o que vem depois do passo 3, ou, no do cliente, do 6.
SOLUCOES = [
    """\
conn, cliente = serv_socket.accept()
conn.sendall(conn.recv(1024).decode().upper().encode())
""",
    """\
while True:
    conn, cliente = serv_socket.accept()
    conn.sendall(conn.recv(1024))
    conn.close()
""",
    """\
client_socket.sendall("mão e coração".encode())
resposta = b""
while data := client_socket.recv(4):
    resposta += data
print(resposta.decode())
""",
    """\
conn, cliente = serv_socket.accept()
guardado, numero = b"", 0
while data := conn.recv(4):
    *linhas, guardado = (guardado + data).split(b"\\n")
    for numero, linha in enumerate(linhas, numero + 1):
        conn.sendall(b"%d: %s\\n" % (numero, linha))
""",
    """\
import threading

def atender(conn):
    with conn:
        conn.sendall(conn.recv(1024))

while True:
    threading.Thread(target=atender, args=(serv_socket.accept()[0],), daemon=True).start()
""",
]
EXERCICIOS = re.split(
    r"^\d+\. ", README.partition("\n## Exercícios\n")[2].partition("\n## ")[0], flags=re.MULTILINE
)[1:]


@linux
@pytest.mark.parametrize("resolvido", [True, False])
@pytest.mark.parametrize("numero", range(1, 6))
def test_a_prova_de_cada_exercicio_aceita_uma_solucao_e_nega_o_exemplo_curto(
    numero, resolvido, abrir, copia_do_projeto, rede_propria, com_este_python
):
    servidor, cliente, _ = textos("python")
    pular_o_que_falta("7008", rede_propria)
    comeco, passo = (cliente, "# passo 6\n") if numero == 3 else (servidor, "# passo 3\n")
    certo = "".join(comeco.partition(passo)[:2]) + SOLUCOES[numero - 1]
    reuso = "serv_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\nserv_socket.bind"
    programas = {
        "servidor.py": (certo if resolvido and numero != 3 else servidor),
        "cliente.py": (certo if resolvido and numero == 3 else cliente),
        "calado.py": re.sub(r".*# passo 7\n", "", cliente),
    }
    for nome, texto in programas.items():
        (copia_do_projeto / nome).write_text(texto.replace("serv_socket.bind", reuso), "utf-8")

    exercicio = " ".join(EXERCICIOS[numero - 1].split())
    nosso_servidor = re.search(r"`(./servidor_socket.py [^`]+)`", exercicio)
    roteiro = [(nosso_servidor[1] if nosso_servidor else "python3 servidor.py") + " >/dev/null &"]
    roteiro += [ESPERAR["LISTEN"]]
    if "sem o passo 7" in exercicio:
        roteiro += ["python3 calado.py >/dev/null 2>&1 &", ESPERAR["ESTABLISHED"]]
    provas = re.findall(r"`([^`]+)` mostra ((?:`[^`]+`(?:, | e )?)+)", exercicio)
    roteiro += [f"{comando}; echo" for comando, _ in provas]
    como = {
        "cwd": copia_do_projeto,
        "env": com_este_python(como_quem_le()),
        "start_new_session": True,
    }
    processo = abrir(*rede_propria, "sh", "-c", "\n".join([*roteiro, "exec >&-"]), **como)
    try:
        visto = [linha for linha in processo.resto().splitlines() if linha]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(processo.pid, signal.SIGKILL)
    esperado = [linha for _, mostra in provas for linha in re.findall(r"`([^`]+)`", mostra)]
    assert (visto == esperado) == resolvido, (visto, processo.erros())


@linux
def test_o_exemplo_curto_e_a_conversa_inteira_em_onze_passos(
    abrir, rede_propria, com_este_python
):
    """Os dois blocos, como estão: o servidor, e o cliente quando ele já escuta."""
    servidor, cliente, _ = textos("python")
    pular_o_que_falta(servidor, rede_propria, com_reuso=False)
    dois = f'"$0" -c "$1" & {ESPERAR["LISTEN"]}; "$0" -c "$2"; wait'
    comando = (*rede_propria, "sh", "-c", dois, sys.executable, servidor, cliente)
    processo = abrir(*comando, env=com_este_python(como_quem_le()))
    assert (processo.resto(), processo.erros()) == ("olá\n", "")
    passos = re.findall(r"# passo (\d+)$", servidor + cliente, re.MULTILINE)
    assert sorted(map(int, passos)) == list(range(1, 12))


def test_o_teste_para_quem_ensina_passa_como_esta(copia_do_projeto):
    *_, teste = textos("python")
    (copia_do_projeto / "test_do_par.py").write_text(teste, encoding="utf-8")
    pytest_do_leitor = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_do_par.py")
    visto = rodar(*PYTHON, *pytest_do_leitor, cwd=copia_do_projeto)
    assert visto.returncode == 0, visto.stdout.decode()
    assert b"1 passed" in visto.stdout


def test_o_readme_se_le_de_uma_vez():
    assert README.count("\n") <= 400
    assert len(README.split()) <= 4100


def test_cada_chamada_que_o_readme_explica_esta_na_funcao_e_no_passo_que_ele_diz():
    comeco = r"^(?:- \*\*(?:Antes|Depois) do (\d+), no |(\d+)\. \*\*)(\w+): "
    itens = re.findall(comeco + r"`([^`]+)`\*\*,\s+em `(\w+)`", README, re.MULTILINE)
    assert [passo for _, passo, *_ in itens if passo] == [str(n) for n in range(1, 12)]
    assert len(itens) == 11 + len(re.findall(r"^- \*\*(?:Antes|Depois) do", README, re.MULTILINE))
    for _, passo, lado, chamada, funcao in itens:
        modulo = importlib.import_module(SCRIPTS[lado.lower()].stem)
        linhas = inspect.getsource(getattr(modulo, funcao)).splitlines()
        fim = f"# passo {passo}" if passo else ""
        assert any(chamada in linha and linha.endswith(fim) for linha in linhas), chamada


def test_os_numeros_que_o_readme_diz_sao_os_do_codigo():
    for frase, numero in (
        (r"O \*backlog\*, (\d+),", servidor_socket.BACKLOG),
        (r"`Send-Q` (\d+), o backlog", servidor_socket.BACKLOG),
        (r"o que chegou, até (\d+) bytes", servidor_socket.TAMANHO_DO_BLOCO),
    ):
        assert re.findall(frase, README) == [str(numero)]


@unix
def test_os_status_de_saida_sao_os_do_codigo(
    abrir_servidor, abrir_cliente, ouvinte, porta_sem_ninguem
):
    servidor = abrir_servidor()
    em_uso = rodar(*PYTHON, SERVIDOR, "--porta", str(servidor.porta)).returncode
    boa = rodar_cliente("oi", porta=servidor.porta).returncode
    recusada = rodar_cliente("oi", porta=porta_sem_ninguem).returncode
    vistos = {
        "servidor": [servidor.wait(), em_uso, rodar(*PYTHON, SERVIDOR, "-z").returncode],
        "cliente": [boa, recusada, rodar_cliente("", porta=porta_sem_ninguem).returncode],
    }
    for sinal in (signal.SIGINT, signal.SIGTERM):
        cliente = abrir_cliente(ouvinte.getsockname()[1], "oi")
        with ouvinte.accept()[0]:  # o cliente já passou do começo, e espera a resposta
            for lado, processo in (("servidor", abrir_servidor()), ("cliente", cliente)):
                processo.send_signal(sinal)
                assert processo.wait() == -sinal
                vistos[lado].append(128 + sinal)  # é o que o shell mostra
    tabela = README.partition("\n| status |")[2].partition("\n\n")[0].splitlines()[2:]
    contados = [int(linha.split("|")[1]) for linha in tabela]
    assert vistos == {"servidor": contados, "cliente": contados}


def test_cada_ligacao_dentro_do_projeto_leva_a_algum_lugar():
    titulos = re.findall(r"^#+ (.+)$", README, re.MULTILINE)
    ancoras = {re.sub(r"[^\w -]", "", titulo.lower()).replace(" ", "-") for titulo in titulos}
    ligacoes = re.findall(r"\]\(([^)\s]+)\)", README)
    assert ligacoes
    for ligacao in ligacoes:
        if ligacao.startswith("#"):
            assert ligacao[1:] in ancoras, ligacao
        elif not ligacao.startswith("https://"):
            assert (RAIZ / ligacao).exists(), ligacao
