from budgetmem.scheduling.tenants import Tenants


def test_a_name_keeps_its_number_while_it_has_live_items():
    tenants = Tenants()
    ann, bob = tenants.acquire("ann"), tenants.acquire("bob")
    assert ann != bob
    assert tenants.acquire("ann") == ann
    tenants.release("ann")
    assert tenants.acquire("ann") == ann


def test_names_without_live_items_are_forgotten():
    tenants = Tenants()
    for name in ("ann", "ann", "bob"):
        tenants.acquire(name)
    tenants.release("ann")
    assert len(tenants) == 2
    tenants.release("ann")
    tenants.release("bob")
    assert len(tenants) == 0
