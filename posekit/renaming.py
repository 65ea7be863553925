"""Old names of arguments: they still work, and warn."""

import warnings
from collections.abc import Callable
from functools import wraps


def renamed(**names: str) -> Callable:
    """Decorate a function so that it takes keywords under their old names as well, with a DeprecationWarning.

    Args:
        names: the new name of each old one.

    Raises:
        TypeError: from the decorated function, if an argument comes under both names.

    >>> @renamed(root="data_root")
    ... def load(data_root):
    ...     return data_root
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     load(root="data/")
    'data/'
    >>> print(caught[0].message)
    load: the argument root is now called data_root
    """

    def decorate(function):
        @wraps(function)
        def taking_old_names(*args, **kwargs):
            for old, new in names.items():
                if old not in kwargs:
                    continue
                if new in kwargs:
                    raise TypeError(f"{function.__name__} got both {new} and {old}, which is its old name")
                message = f"{function.__name__}: the argument {old} is now called {new}"
                warnings.warn(message, DeprecationWarning, stacklevel=2)
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return taking_old_names

    return decorate
