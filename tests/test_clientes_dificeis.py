"""O que um cliente pode fazer de errado custa uma linha ao servidor, e nada mais."""

import errno
import sys
import unicodedata

import pytest
from conftest import (
    PYTHON,
    SERVIDOR,
    Servidor,
    do_sistema,
    eco,
    linux,
    receber_tudo,
    resetar,
    rodar,
    uma_linha_de_erro,
)


def sai_calado(servidor: Servidor) -> None:
    servidor.conectar().close()


def reseta_calado(servidor: Servidor) -> None:
    resetar(servidor.conectar())


def reseta_depois_do_eco(servidor: Servidor) -> None:
    client_socket = servidor.conectar()
    client_socket.sendall(b"oi")
    assert receber_tudo(client_socket) == b"oi"
    resetar(client_socket)


def fica_calado_ate_o_limite(servidor: Servidor) -> None:
    with servidor.conectar() as client_socket:
        assert receber_tudo(client_socket) == b""


RESET = f"conexão perdida ({do_sistema(errno.ECONNRESET)})"
ESGOTADO = "tempo limite de 0.5 s esgotado"


@pytest.mark.parametrize(
    ("faz", "relato", "status"),
    [
        (sai_calado, "bytes lidos: 0, '', fim limpo", 0),
        pytest.param(reseta_calado, f"bytes lidos: 0, '', {RESET}", 1, marks=linux),
        pytest.param(reseta_depois_do_eco, f"bytes lidos: 2, 'oi', {RESET}", 1, marks=linux),
        (fica_calado_ate_o_limite, f"bytes lidos: 0, '', {ESGOTADO}", 1),
    ],
)
@pytest.mark.parametrize("continuo", [False, True])
def test_cada_modo_de_falhar_custa_uma_linha_na_saida_e_nada_mais(
    abrir_servidor, faz, relato, status, continuo
):
    limite = ["--tempo-limite", "0.5"] if ESGOTADO in relato else []
    servidor = abrir_servidor(*limite, *(["-k"] if continuo else []))
    faz(servidor)
    quem, _, visto = servidor.linha().partition(": ")
    assert quem.startswith("127.0.0.1:")
    assert visto == relato
    if continuo:
        servidor.ainda_atende()
    else:
        assert servidor.wait() == status
        assert (servidor.resto(), servidor.erros()) == ("", "")


def test_quem_desiste_ainda_na_fila_nao_derruba_o_servidor_em_nenhum_sistema(
    abrir_servidor, strace
):
    """No Linux, o accept dá certo e o recv falha; o strace faz o primeiro accept falhar."""
    desistir = strace("accept4:error=ECONNABORTED:when=1")
    servidor = abrir_servidor(comando=(*desistir, *PYTHON, SERVIDOR))
    servidor.ainda_atende()
    assert servidor.wait() == 0


def test_um_accept_que_falha_por_outra_razao_e_um_erro_e_nao_um_laco_sem_fim(
    abrir_servidor, strace
):
    sem_descritores = strace("accept4:error=EMFILE")
    servidor = abrir_servidor("-k", comando=(*sem_descritores, *PYTHON, SERVIDOR))
    assert servidor.wait() == 1
    erro = uma_linha_de_erro(servidor.erros(), SERVIDOR)
    assert erro == f"o servidor parou: {do_sistema(errno.EMFILE)}"


@pytest.mark.skipif(
    sys.implementation.name == "pypy", reason="no PyPy, o accept sem endereço é um erro dele"
)
def test_quem_ja_saiu_e_chega_sem_endereco_custa_uma_linha(abrir_servidor, strace):
    """É o que o accept faz às vezes no macOS; o strace o faz aqui, na primeira conexão."""
    sem_endereco = strace("accept4:poke_exit=@arg3=00000000:when=1")
    if rodar(*sem_endereco, "true").returncode:
        pytest.skip("este strace não muda a memória de um processo")
    servidor = abrir_servidor("-k", comando=(*sem_endereco, *PYTHON, SERVIDOR))
    servidor.conectar().close()
    assert servidor.linha() == "cliente que já saiu: bytes lidos: 0, '', fim limpo"
    servidor.ainda_atende()


@pytest.mark.parametrize(
    ("enviado", "mostrado"),
    [
        (b"a\n127.0.0.1:1: 9 bytes, 'falso', fim limpo\n", r"a\n127.0.0.1:1: 9 bytes, 'falso'"),
        (b"\x1b[2J\x07\r\x7f", r"'\x1b[2J\x07\r\x7f'"),
        ("\u009b31m\u0085\u2028\u2029".encode(), r"'\x9b31m\x85\u2028\u2029'"),
        ("ação € 日本 😀".encode(), "'ação € 日本 😀'"),
        (b"\xff\xc3", r"'\udcff\udcc3'"),
        (rb"\xff\xc3", r"'\\xff\\xc3'"),
    ],
)
def test_o_texto_do_cliente_nao_forja_linhas_nem_chega_cru_ao_terminal(
    servidor, enviado, mostrado
):
    assert eco(servidor.porta, enviado) == enviado
    linha = servidor.linha()
    assert mostrado in linha
    assert all(unicodedata.category(letra)[0] not in "CZ" or letra == " " for letra in linha)
    assert servidor.resto() == ""
    assert servidor.wait() == 0
