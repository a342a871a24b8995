"""O README diz a verdade: seus blocos rodam, e suas tabelas são as do código."""

import ast
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import CLIENTE, PRAZO, RAIZ, SERVIDOR, Processo, Servidor, tem

README = (RAIZ / "README.md").read_text(encoding="utf-8")
SCRIPTS = {"servidor": SERVIDOR, "cliente": CLIENTE}
PROGRAMAS = ("nc", "curl", "strace", "ss")


class Bloco(NamedTuple):
    """Um bloco sh e, se vem logo depois dele, o bloco text com o que se deve ver."""

    titulo: str
    comando: str
    saida: str | None


def ler_blocos() -> list[Bloco]:
    blocos = []
    titulo = ""
    cerca = re.compile(
        r"^#+ (?P<titulo>[^\n]+)$"
        r"|^```sh\n(?P<comando>.*?)^```$(\n\n^```text\n(?P<saida>.*?)^```$)?"
        r"|^```\w*\n.*?^```$",
        re.MULTILINE | re.DOTALL,
    )
    for trecho in cerca.finditer(README):
        titulo = trecho["titulo"] or titulo
        if trecho["comando"]:
            blocos.append(Bloco(titulo, trecho["comando"], trecho["saida"]))
    return blocos


BLOCOS = ler_blocos()
# O segundo bloco é o que roda estes testes: rodá-lo daqui seria rodá-los sem fim. É o .ci/run que
# o lê do README e o roda, como está, em uma cópia limpa.
DOS_TESTES = BLOCOS[1]


def linhas_de_tabela(primeira_celula: str) -> list[list[str]]:
    """As células das linhas da tabela cujo cabeçalho começa por essa célula."""
    inicio = README.index(f"\n| {primeira_celula} |") + 1
    tabela = README[inicio:].partition("\n\n")[0].splitlines()
    return [[celula.strip() for celula in linha.strip("|").split("|")] for linha in tabela[2:]]


def molde(saida: str) -> str:
    """Expressão regular do texto: cinco algarismos são uma porta, … é qualquer trecho, e a
    largura de um espaço entre colunas não importa."""
    expressao = re.sub(r"\b\d{5}\b", r"\\d+", re.escape(saida)).replace("…", r"[^\n]*")
    return re.sub(r"(\\ )+", " +", expressao)


@pytest.fixture
def copia_do_projeto(tmp_path) -> Path:
    """O que um git clone traria, em uma pasta nova."""
    pasta = tmp_path / "projeto"
    ignorar = shutil.ignore_patterns("__pycache__", ".[!c]*", "*.egg-info", "build", "dist")
    return Path(shutil.copytree(RAIZ, pasta, ignore=ignorar))


@pytest.fixture(scope="module")
def rede_propria() -> list[str]:
    """O começo de um comando que roda em uma rede só dele, se o Linux deixa.

    Os blocos usam as portas 7007 e 8000; assim, quem roda os testes pode estar usando-as.
    """
    comando = ["unshare", "--user", "--map-root-user", "--net"]
    comando += ["sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    if tem("unshare") and not subprocess.run([*comando, "true"], capture_output=True).returncode:
        return comando
    return []


@pytest.mark.parametrize(
    "bloco", [bloco for bloco in BLOCOS if bloco != DOS_TESTES], ids=lambda bloco: bloco.titulo
)
def test_cada_bloco_sh_mostra_o_que_o_texto_diz_e_nao_deixa_nada(
    bloco, copia_do_projeto, rede_propria
):
    for programa in PROGRAMAS:
        if re.search(rf"\b{programa} -", bloco.comando) and not tem(programa):
            pytest.skip(f"não há {programa} aqui")
    antes = sorted(copia_do_projeto.rglob("*"))
    sem_proxy = {nome: valor for nome, valor in os.environ.items() if "proxy" not in nome.lower()}
    processo = subprocess.Popen(
        [*rede_propria, "sh", "-c", bloco.comando],
        cwd=copia_do_projeto,
        env=sem_proxy | {"PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        # A saída só acaba quando acabam os processos que a têm; o grupo, quando acabam todos.
        saida, _ = processo.communicate(timeout=PRAZO)
        assert processo.returncode == 0, saida
        esperar_o_fim_do_grupo(processo.pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(processo.pid, signal.SIGKILL)
        processo.communicate()
    assert sorted(copia_do_projeto.rglob("*")) == antes
    if bloco.saida is not None:
        visto = re.sub(r"[ \r]+$", "", saida.decode(), flags=re.MULTILINE)
        assert re.fullmatch(molde(bloco.saida), visto), visto


def esperar_o_fim_do_grupo(grupo: int) -> None:
    prazo = time.monotonic() + PRAZO
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.killpg(grupo, 0)
            assert time.monotonic() < prazo, "o bloco deixou um processo em execução"


def test_os_dois_terminais_mostram_o_que_o_texto_diz(abrir_terminal, copia_do_projeto):
    do_servidor, do_cliente, do_servidor_depois = re.findall(
        r"^```console\n(.*?)^```$", README, re.MULTILINE | re.DOTALL
    )
    chmod, iniciar_o_servidor, _ = do_servidor.splitlines()
    iniciar_o_cliente, pergunta, _ = do_cliente.splitlines()
    subprocess.run(["sh", "-c", chmod.removeprefix("$ ")], cwd=copia_do_projeto, check=True)

    # A porta é outra, para que a 7007 possa estar em uso por quem roda os testes.
    um, outro = abrir_terminal(), abrir_terminal()
    comando = [iniciar_o_servidor.removeprefix("$ "), "--porta", "0"]
    servidor = um.abrir(Processo, comando, cwd=copia_do_projeto)
    um.esperar(" (Ctrl+C encerra)")
    porta = re.search(rb":(\d+) ", um.visto)[1]
    comando = [iniciar_o_cliente.removeprefix("$ "), "--porta", porta]
    cliente = outro.abrir(Processo, comando, cwd=copia_do_projeto)
    outro.esperar("Mensagem: ")
    outro.digitar(pergunta.removeprefix("Mensagem: ").encode() + b"\n")
    assert (cliente.status(), servidor.status()) == (0, 0)

    for terminal, texto in ((um, do_servidor + do_servidor_depois), (outro, do_cliente)):
        mostrado = re.sub(r"^\$ .*\n", "", texto, flags=re.MULTILINE).replace("7007", "48080")
        tela = terminal.tela().replace("\r", "")
        assert re.fullmatch(molde(mostrado), tela), tela


def test_os_dois_primeiros_blocos_sao_um_comando_cada_e_o_segundo_e_o_dos_testes():
    assert all(bloco.comando.count("\n") == 1 for bloco in BLOCOS[:2])
    assert BLOCOS[0].comando.startswith("./servidor_socket.py ")
    assert DOS_TESTES.comando.startswith("python3 -m venv .venv && ")
    assert DOS_TESTES.comando.endswith("-m pytest\n")


def chamadas(script: Path, funcao: str) -> set[str]:
    """As chamadas que estão na função, escritas como no código."""
    arvore = ast.parse(script.read_text(encoding="utf-8"))
    [corpo] = [no for no in arvore.body if isinstance(no, ast.FunctionDef) and no.name == funcao]
    return {ast.unparse(no) for no in ast.walk(corpo) if isinstance(no, ast.Call)}


PASSOS = linhas_de_tabela("passo")
ENTRE_OS_PASSOS = linhas_de_tabela("quando")


@pytest.mark.parametrize("linha", PASSOS + ENTRE_OS_PASSOS, ids=lambda linha: linha[0])
def test_cada_chamada_da_tabela_esta_nessa_funcao_desse_script(linha):
    _, lado, chamada, explicacao, funcao = linha
    escrita = ast.unparse(ast.parse(chamada.strip("`")))
    assert escrita in chamadas(SCRIPTS[lado], funcao.strip("`"))
    assert explicacao


def test_nenhum_dos_onze_passos_falta():
    assert [linha[0] for linha in PASSOS] == [str(numero) for numero in range(1, 12)]
    feito = [(linha[1], linha[2].partition("(")[0].rpartition(".")[2]) for linha in PASSOS]
    assert feito == [
        ("servidor", "socket"),
        ("servidor", "bind"),
        ("servidor", "listen"),
        ("servidor", "accept"),
        ("cliente", "socket"),
        ("cliente", "connect_ex"),
        ("cliente", "sendall"),
        ("servidor", "recv"),
        ("servidor", "sendall"),
        ("cliente", "recv"),
        ("servidor", "close"),
    ]


def test_toda_chamada_a_um_socket_no_codigo_aparece_em_alguma_tabela():
    contadas = {linha[2].strip("`").partition("(")[0] for linha in PASSOS + ENTRE_OS_PASSOS}
    sockets = r"(socket|serv_socket|client_socket|conn)\.(\w+)"
    de_rotina = {"conn.settimeout", "serv_socket.getsockname"}
    for script in SCRIPTS.values():
        arvore = ast.parse(script.read_text(encoding="utf-8"))
        for no in ast.walk(arvore):
            if isinstance(no, ast.Call) and re.fullmatch(sockets, ast.unparse(no.func)):
                assert ast.unparse(no.func) in contadas | de_rotina


@pytest.mark.parametrize("lado", SCRIPTS)
def test_as_opcoes_e_os_padroes_sao_os_da_ajuda(lado):
    ajuda = subprocess.run(
        [sys.executable, SCRIPTS[lado], "--help"], capture_output=True, text=True, timeout=PRAZO
    ).stdout
    tabela = {linha[0]: linha[1] for linha in linhas_de_tabela(f"`{SCRIPTS[lado].name}`")}
    nomes = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", " ".join(tabela)))
    assert nomes == set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", ajuda.partition("opções:")[2]))
    corrida = " ".join(ajuda.split())
    for opcao, padrao in tabela.items():
        if padrao:
            nome = opcao.strip("`")
            assert re.search(rf"{nome} [^()]*\(padrão: {padrao.strip('`')}\)", corrida), nome


def test_os_status_de_saida_sao_os_do_codigo(abrir):
    def status(*comando: str | Path) -> int:
        return subprocess.run(
            [sys.executable, *comando],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PRAZO,
        ).returncode

    servidor = abrir(Servidor)
    porta = str(servidor.porta)
    ocupada = status(SERVIDOR, "--porta", porta)
    boa = status(CLIENTE, "--porta", porta, "oi")
    interrompido = abrir(Servidor)
    interrompido.enviar_sinal()
    vistos = {
        "servidor": [servidor.status(), ocupada, status(SERVIDOR, "-z"), interrompido.status()],
        "cliente": [boa, status(CLIENTE, "--porta", porta, "oi"), status(CLIENTE, ""), 130],
    }
    contados = [int(linha[0]) for linha in linhas_de_tabela("status")]
    assert vistos == {"servidor": contados, "cliente": contados}


def test_cada_ligacao_dentro_do_projeto_leva_a_algum_lugar():
    titulos = re.findall(r"^#+ (.+)$", README, re.MULTILINE)
    ancoras = {re.sub(r"[^\w -]", "", titulo.lower()).replace(" ", "-") for titulo in titulos}
    ligacoes = re.findall(r"\]\(([^)\s]+)\)", README)
    assert ligacoes
    for ligacao in ligacoes:
        if ligacao.startswith("#"):
            assert ligacao[1:] in ancoras
        elif not ligacao.startswith("https://"):
            assert (RAIZ / ligacao).exists(), ligacao


def test_cada_arquivo_de_testes_aparece_na_tabela_dos_testes():
    for arquivo in (RAIZ / "tests").glob("test_*.py"):
        assert f"[`{arquivo.name}`](tests/{arquivo.name})" in README
