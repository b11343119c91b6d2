"""Write one HTML page about a run, or several side by side: python tools/report.py WORK_DIR... [--out FILE]."""

from mmstreet.cli.report import main

if __name__ == "__main__":
    main()
