"""O README diz a verdade: seus blocos rodam, e o que ele conta do código está no código."""

import ast
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import (
    CLIENTE,
    PYTHON,
    RAIZ,
    SERVIDOR,
    Terminal,
    esperar_ate,
    linux,
    rodar,
    rodar_cliente,
    unix,
)

README = (RAIZ / "README.md").read_text(encoding="utf-8")
SCRIPTS = {"servidor": SERVIDOR, "cliente": CLIENTE}


# Um bloco sh e, se vem logo depois dele, o bloco text com o que se deve ver.
CERCA = re.compile(
    r"^```sh\n(?P<comando>.*?)^```$(\n+^```text\n(?P<saida>.*?)^```$)?|^```\w*\n.*?^```$",
    re.MULTILINE | re.DOTALL,
)
BLOCOS = [achado for achado in CERCA.finditer(README) if achado["comando"]]
# Um bloco é o que roda estes testes: rodá-lo daqui não teria fim. Quem o roda é o .ci/run.
[DOS_TESTES] = [bloco for bloco in BLOCOS if bloco["comando"].endswith("-m pytest\n")]
EXEMPLOS = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def molde(saida: str) -> str:
    """Expressão regular do texto: cinco algarismos são uma porta, … é qualquer trecho, e a
    largura de um espaço entre colunas não importa."""
    expressao = re.sub(r"\b\d{5}\b", r"\\d+", re.escape(saida)).replace("…", r"[^\n]*")
    return re.sub(r"(\\ )+", " +", expressao)


@pytest.fixture
def copia_do_projeto(tmp_path) -> Path:
    """Os dois scripts, em uma pasta nova, com os modos que uma cópia pode ter perdido."""
    pasta = tmp_path / "projeto"
    pasta.mkdir()
    for script in SCRIPTS.values():
        shutil.copy(script, pasta)
        (pasta / script.name).chmod(0o744)
    return pasta


def ocupada(porta: str) -> bool:
    try:
        socket.create_server(("127.0.0.1", int(porta))).close()
    except OSError:
        return True
    return False


def pular_o_que_falta(comando: str, rede_propria: tuple[str, ...]) -> None:
    if "ss -" in comando and not shutil.which("ss"):
        pytest.skip("não há ss aqui")
    if "nc " in comando:  # o de outros sistemas não tem o -d, ou sai sem ler o resto
        nc = rodar("nc", "-h") if shutil.which("nc") else None
        if not nc or b"Detach from stdin" not in nc.stderr + nc.stdout:
            pytest.skip("não há o nc do OpenBSD aqui")
    if not rede_propria:
        for porta in {"7007", *re.findall(r"\b(7008|8000)\b", comando)}:
            if ocupada(porta):
                pytest.skip(f"a porta {porta} está em uso, e não há outra rede (unshare e ip)")


@unix
@pytest.mark.parametrize("bloco", [bloco for bloco in BLOCOS if bloco != DOS_TESTES])
def test_cada_bloco_sh_mostra_o_que_o_texto_diz_e_nao_deixa_nada(
    bloco, abrir, copia_do_projeto, rede_propria
):
    """Em uma rede própria, quem roda os testes pode estar usando a porta 7007."""
    pular_o_que_falta(bloco["comando"], rede_propria)
    antes = sorted(copia_do_projeto.rglob("*"))
    ambiente = {nome: valor for nome, valor in os.environ.items() if "proxy" not in nome.lower()}
    ambiente["PYTHONDONTWRITEBYTECODE"] = "1"
    como = {"cwd": copia_do_projeto, "env": ambiente, "stderr": subprocess.STDOUT}
    comando = (*rede_propria, "sh", "-c", bloco["comando"])
    processo = abrir(*comando, start_new_session=True, **como)
    try:
        # A saída só acaba quando acabam os processos que a têm; o grupo, quando acabam todos.
        saida = processo.resto()
        assert processo.wait() == 0, saida
        esperar_ate(lambda: acabou(processo.pid))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(processo.pid, signal.SIGKILL)
    assert sorted(copia_do_projeto.rglob("*")) == antes
    visto = re.sub(r"[ \r]+$", "", saida, flags=re.MULTILINE)
    assert re.fullmatch(molde(bloco["saida"]), visto), visto


def acabou(grupo: int) -> bool:
    try:
        os.killpg(grupo, 0)
    except (ProcessLookupError, PermissionError) as exc:  # no macOS, se só há zumbis, esta última
        return isinstance(exc, ProcessLookupError)
    return False


@linux
def test_os_dois_terminais_mostram_o_que_o_texto_diz(abrir, terminal, copia_do_projeto):
    do_servidor, do_cliente, do_servidor_depois = re.findall(
        r"^```console\n(.*?)^```$", README, re.MULTILINE | re.DOTALL
    )
    iniciar_o_servidor, _ = do_servidor.splitlines()
    iniciar_o_cliente, pergunta, _ = do_cliente.splitlines()

    # A porta é outra, para que a 7007 possa estar em uso por quem roda os testes.
    with contextlib.closing(Terminal()) as outro:
        comando = (iniciar_o_servidor.removeprefix("$ "), "--porta", "0")
        servidor = abrir(*comando, cwd=copia_do_projeto, **terminal.pontas())
        comando = (iniciar_o_cliente.removeprefix("$ "), "--porta", str(terminal.porta()))
        cliente = abrir(*comando, cwd=copia_do_projeto, **outro.pontas())
        outro.esperar("Mensagem: ")
        outro.digitar(pergunta.removeprefix("Mensagem: ").encode() + b"\n")
        assert (cliente.wait(), servidor.wait()) == (0, 0)
        telas = (terminal.tela(), outro.tela())

    for tela, texto in zip(telas, (do_servidor + do_servidor_depois, do_cliente)):
        mostrado = re.sub(r"^\$ .*\n", "", texto, flags=re.MULTILINE).replace("7007", "48080")
        assert re.fullmatch(molde(mostrado), tela.replace("\r", "")), tela


@linux
def test_o_exemplo_curto_e_a_conversa_inteira(abrir, rede_propria):
    """Os dois blocos, como estão: o servidor, e o cliente quando ele já escuta."""
    servidor, cliente = EXEMPLOS
    pular_o_que_falta(servidor, rede_propria)
    ja_escuta = "grep -q ':1B60 00000000:0000 0A ' /proc/net/tcp"  # a 7008, e o estado LISTEN
    dois = f'"$0" -c "$1" & until {ja_escuta}; do sleep 0.01; done; "$0" -c "$2"; wait'
    processo = abrir(*rede_propria, "sh", "-c", dois, sys.executable, servidor, cliente)
    assert (processo.resto(), processo.erros()) == ("olá\n", "")
    passos = re.findall(r"^.*?\b(\w+\.\w+)\(.*# passo (\d+)$", servidor + cliente, re.MULTILINE)
    assert len(passos) == 11
    for passo in ONZE_PASSOS:
        chamada = passo.chamada.partition("(")[0]
        assert (chamada, passo.quando.partition(".")[0]) in passos


def test_o_primeiro_bloco_e_um_comando_so_e_o_dos_testes_tambem():
    assert all(bloco["comando"].count("\n") == 1 for bloco in (BLOCOS[0], DOS_TESTES))
    assert BLOCOS[0]["comando"].startswith("./servidor_socket.py ")
    assert DOS_TESTES["comando"].startswith("python3 -m venv .venv && ")


def test_o_readme_se_le_de_uma_vez():
    assert README.count("\n") <= 400


class Passo(NamedTuple):
    """Um item das listas de passos: 'N. **Lado: `chamada`**, em `funcao`, ...'."""

    quando: str
    lado: str
    chamada: str
    funcao: str


def ler_passos(inicio: str) -> list[Passo]:
    item = rf"^({inicio}\b.*?): `([^`]+)`\*\*,\s+em\s+`(\w+)`"
    return [
        Passo(quando, re.search("servidor|cliente", quando.lower())[0], chamada, funcao)
        for quando, chamada, funcao in re.findall(item, README, re.MULTILINE)
    ]


ONZE_PASSOS = ler_passos(r"\d+\. \*\*(?:Servidor|Cliente)")
ENTRE_OS_PASSOS = ler_passos(r"- \*\*(?:Antes|Depois) do \d+")


def linhas_de(passo: Passo) -> list[str]:
    """As linhas da função que o passo nomeia, no script que ele nomeia."""
    texto = SCRIPTS[passo.lado].read_text(encoding="utf-8")
    nos = ast.parse(texto).body
    [corpo] = [n for n in nos if isinstance(n, ast.FunctionDef) and n.name == passo.funcao]
    return texto.splitlines()[corpo.lineno : corpo.end_lineno]


@pytest.mark.parametrize("passo", ENTRE_OS_PASSOS, ids=lambda passo: passo.quando)
def test_cada_chamada_entre_os_passos_esta_nessa_funcao_desse_script(passo):
    assert passo.chamada in "".join(linhas_de(passo))


@pytest.mark.parametrize("passo", ONZE_PASSOS, ids=lambda passo: passo.quando)
def test_cada_passo_tem_o_seu_numero_no_codigo_uma_vez_so(passo):
    marca = f"  # passo {int(passo.quando.partition('.')[0])}"
    [linha] = [linha for linha in linhas_de(passo) if linha.endswith(marca)]
    assert passo.chamada in linha
    inteiros = [script.read_text(encoding="utf-8") for script in SCRIPTS.values()]
    assert sum(f"{inteiro}\n".count(f"{marca}\n") for inteiro in inteiros) == 1


def test_toda_chamada_a_um_socket_no_codigo_aparece_entre_os_passos():
    contadas = {passo.chamada.partition("(")[0] for passo in ONZE_PASSOS + ENTRE_OS_PASSOS}
    sockets = r"(socket|serv_socket|client_socket|conn)\.(\w+)"
    de_rotina = {"conn.settimeout", "client_socket.close"}
    de_rotina |= {"serv_socket.getsockname", "socket.getnameinfo"}
    for script in SCRIPTS.values():
        arvore = ast.parse(script.read_text(encoding="utf-8"))
        for no in ast.walk(arvore):
            if isinstance(no, ast.Call) and re.fullmatch(sockets, ast.unparse(no.func)):
                assert ast.unparse(no.func) in contadas | de_rotina


def test_as_opcoes_do_readme_sao_as_da_ajuda():
    tabela = README.partition("\n| opção |")[2].partition("\n\n")[0].splitlines()[2:]
    celulas = [[celula.strip() for celula in linha.strip("|").split("|")] for linha in tabela]
    for coluna, script in enumerate(SCRIPTS.values(), 1):
        ajuda = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8")))
        na_ajuda = re.findall(r"^ *(?:-k, )?(--\w\S+).*\(padrão: (.+)\)$", ajuda, re.MULTILINE)
        no_readme = [
            (re.search("--[^`]+", linha[0])[0], re.search(r"\((.+)\)$", linha[coluna])[1])
            for linha in celulas
            if linha[coluna]
        ]
        assert no_readme == na_ajuda


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
                vistos[lado].append(128 - processo.wait())
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
