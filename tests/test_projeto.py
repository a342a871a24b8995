"""As paredes do projeto: dois scripts curtos, cada um sozinho, só com a biblioteca padrão."""

import ast
import os
import re
import sys

import pytest
from conftest import CLIENTE, RAIZ, SERVIDOR, precisa_de, rodar

VISIVEIS = {"servidor_socket.py", "cliente_socket.py", "README.md", "tests", "pyproject.toml"}
OUTRO_MODO_DE_FAZER = {"asyncio", "socketserver", "selectors", "threading", "http"}
LENTOS_DE_CARREGAR = {"argparse", "contextlib", "typing"}

cada_script = pytest.mark.parametrize("script", [SERVIDOR, CLIENTE], ids=lambda p: p.stem)


@precisa_de("git")
def test_o_que_se_ve_ao_abrir_o_projeto_sao_cinco_nomes():
    # Quem roda os testes pode não ser o dono da cópia.
    listagem = rodar("git", "-c", "safe.directory=*", "ls-files", cwd=RAIZ)
    if listagem.returncode or not listagem.stdout:
        pytest.skip("esta cópia do projeto não é um repositório do git")
    topo = {caminho.partition("/")[0] for caminho in listagem.stdout.decode().splitlines()}
    assert {nome for nome in topo if not nome.startswith(".")} == VISIVEIS


@cada_script
def test_cada_script_e_executavel_e_diz_com_que_se_executa(script):
    assert script.read_text(encoding="utf-8").startswith("#!/usr/bin/env python3\n")
    assert os.access(script, os.X_OK), f"a cópia perdeu os modos: chmod 744 {script.name}"


@cada_script
def test_cada_script_se_le_de_uma_vez_e_comeca_pela_rede(script):
    texto = script.read_text(encoding="utf-8")
    assert texto.count("\n") <= 150
    resto = texto.partition("\n# Daqui para baixo, nada de rede: ")[2]
    assert 0 < len(resto.splitlines()[1:]) <= 75
    assert not re.search(r"\bsock|conn\b", resto.partition("def main")[0].partition("\n")[2])
    for no in ast.walk(ast.parse(texto)):
        if isinstance(no, ast.FunctionDef):
            assert no.end_lineno - no.lineno < 30, no.name
            assert ast.get_docstring(no)


@cada_script
def test_os_passos_estao_no_codigo_na_ordem_em_que_acontecem(script):
    passos = re.findall(r"# passo (\d+)$", script.read_text(encoding="utf-8"), re.MULTILINE)
    assert passos == sorted(passos, key=int)
    assert passos


@cada_script
def test_cada_script_usa_so_o_que_a_biblioteca_padrao_documenta(script):
    modulos = set()
    for no in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        assert not isinstance(no, (ast.Lambda, ast.ImportFrom))
        if isinstance(no, ast.Import):
            modulos |= {nome.name for nome in no.names}
        if isinstance(no, ast.Attribute):
            assert isinstance(no.ctx, ast.Load), f"muda um objeto alheio: {ast.unparse(no)}"
            privado = no.attr.startswith("_") and no.attr not in ("__stdin__", "__stdout__")
            assert not privado, ast.unparse(no)
    assert modulos <= getattr(sys, "stdlib_module_names", modulos)  # o Python 3.9 não tem a lista
    assert "socket" in modulos
    assert not modulos & (
        OUTRO_MODO_DE_FAZER | LENTOS_DE_CARREGAR | {SERVIDOR.stem, CLIENTE.stem}
    )


def test_os_dois_scripts_tem_poucos_desvios_de_erro():
    """Quem falha levanta uma exceção, e o main de cada um a conta em um lugar só."""
    textos = [script.read_text(encoding="utf-8") for script in (SERVIDOR, CLIENTE)]
    nos = [no for texto in textos for no in ast.walk(ast.parse(texto))]
    assert sum(isinstance(no, ast.Try) for no in nos) <= 11
