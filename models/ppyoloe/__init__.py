"""PP-YOLOE: finds defects.

Beside this file stands what runs on a box; what needs Paddle stands in ``network`` and ``train``.
"""
