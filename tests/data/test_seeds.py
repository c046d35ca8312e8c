from omnicxr.data.seeds import derived_seed


def test_paths_are_streams() -> None:
    """Numbers give the values that finished runs depend on; names give streams beside them."""
    assert derived_seed(3, 5, 7) == 8051511506806774937
    paths = [(1,), (2,), (1, 1), (1, 2), ("prompts",), ("studies",), ("prompts", 1), (1, "prompts")]
    seeds = [derived_seed(0, *path) for path in paths]
    assert len(set(seeds)) == len(paths)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derived_seed(0, "prompts") == derived_seed(0, int.from_bytes(b"prompts"))
    assert derived_seed(1, "prompts") != derived_seed(0, "prompts")
