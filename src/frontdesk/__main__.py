"""`python -m frontdesk` is `frontdesk`."""

from frontdesk.cli import main

main()
