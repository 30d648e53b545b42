from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Sale",
            fields=[
                ("order", models.TextField(primary_key=True, serialize=False)),
                ("count", models.IntegerField(default=0)),
            ],
        ),
    ]
