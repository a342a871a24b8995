"""As paredes do projeto: dois scripts, cada um sozinho, só com a biblioteca padrão."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CLIENTE, RAIZ, SERVIDOR

VISIVEIS = {"servidor_socket.py", "cliente_socket.py", "README.md", "tests", "pyproject.toml"}
OUTRO_MODO_DE_FAZER = {"asyncio", "socketserver", "selectors", "select", "threading", "http"}

cada_script = pytest.mark.parametrize("script", [SERVIDOR, CLIENTE], ids=lambda p: p.stem)


def importados(script: Path) -> set[str]:
    modulos = set()
    for no in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(no, ast.Import):
            modulos |= {nome.name.partition(".")[0] for nome in no.names}
        elif isinstance(no, ast.ImportFrom):
            modulos.add(no.module.partition(".")[0])
    return modulos


def test_o_que_se_ve_ao_abrir_o_projeto_sao_cinco_nomes():
    listagem = subprocess.run(
        ["git", "ls-files"], cwd=RAIZ, capture_output=True, text=True, check=False
    )
    if listagem.returncode or not listagem.stdout:
        pytest.skip("esta cópia do projeto não é um repositório do git")
    topo = {caminho.partition("/")[0] for caminho in listagem.stdout.splitlines()}
    assert {nome for nome in topo if not nome.startswith(".")} == VISIVEIS


@cada_script
def test_cada_script_e_executavel_e_diz_com_que_se_executa(script):
    assert script.read_text(encoding="utf-8").startswith("#!/usr/bin/env python3\n")
    assert os.access(script, os.X_OK)


@cada_script
def test_cada_script_usa_so_a_biblioteca_padrao_e_o_modulo_socket(script):
    modulos = importados(script)
    assert modulos <= sys.stdlib_module_names
    assert "socket" in modulos
    assert not modulos & OUTRO_MODO_DE_FAZER
    assert not modulos & {SERVIDOR.stem, CLIENTE.stem}
