"""What is wrong with a document, in words."""

from pydantic import ValidationError


def faults_of(error: ValidationError, document: str) -> str:
    """Each fault with the field it is in: ``input.std: Field required; ...``.

    Args:
        error: of the document's model.
        document: what a fault of no single field is told of.
    """
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or document}: {fault['msg']}" for fault in error.errors())
