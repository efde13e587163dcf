"""The cluster of vagrant/ on one computer: three machines that are network namespaces.

They are set up by the scripts of ``vagrant/provision`` and run the units of ``vagrant/systemd``.
What stands in for a machine is here, and what stands in for systemd:

    settings, units            what cluster.env and a unit file say
    boot.sh, init, systemctl   within a machine: its file system, its first process, the command
    network, machine, cluster  from outside: cable and switch, one machine, all three
    probe, checks, scenarios   what is done to them, and what must hold afterwards

``python -m vagrant.namespaces`` is the command.
"""
