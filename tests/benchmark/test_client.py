import pytest
import torch
from torch import nn

from benchmark.client import Client, ClientInfo

INFO = ClientInfo(3, "linear", 10)


def test_names_are_parts_and_values():
    client = Client(INFO, {"double": nn.Identity()}, {"known": torch.ones(2)})
    assert client.double(torch.tensor(2.0)).item() == 2
    assert client.known.tolist() == [1, 1]


def test_an_unknown_name_answers_with_the_names_held():
    with pytest.raises(AttributeError, match="holds no 'gate'; it holds header, known"):
        _ = Client(INFO, {"header": nn.Identity()}, {"known": torch.ones(2)}).gate


def test_a_part_can_t_hide_the_clients_own_names():
    with pytest.raises(ValueError, match="info can't name a part"):
        Client(INFO, {"info": nn.Identity()}, {})
