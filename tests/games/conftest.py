import pytest
import torch


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """One thread: tiny models do not get faster with more, and on busy cores each pass would wait for all threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
